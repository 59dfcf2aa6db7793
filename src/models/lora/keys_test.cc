// Every spelling of a LoRA gives what kohya's gives, byte for byte.
#include "models/lora/keys.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "tests/support/adapter_files.h"

namespace sumi::models::lora {
namespace {

std::string flat(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

Tensor in_double(const Tensor& x) {
  const HostView<float> values(x);
  const std::vector<double> wide(values.begin(), values.end());
  return Tensor::from(std::span<const double>(wide), x.shape());
}

struct LayerChange {
  std::string diffusers, compvis;  // compvis: of the UNet; empty for the text encoder's
  Tensor down, up;
  bool of_text() const { return compvis.empty(); }
  bool attends() const { return diffusers.find("attn") != std::string::npos; }
};

class Spellings : public AdapterFiles {
 protected:
  Spellings() {
    const std::string block = "down_blocks.0.attentions.0.", tail = "transformer_blocks.0.",
                      compvis = "input_blocks.1.1.";
    for (const auto& [layer, out, in] : {std::tuple("attn1.to_q", 32, 32), std::tuple("attn1.to_out.0", 32, 32),
                                         std::tuple("attn2.to_k", 32, 16), std::tuple("attn2.to_v", 32, 16)})
      add(block + tail + layer, compvis + tail + layer, {3, in}, {out, 3});
    add(block + tail + "ff.net.0.proj", compvis + tail + "ff.net.0.proj", {3, 32}, {256, 3});
    add(block + "proj_in", compvis + "proj_in", {3, 32, 1, 1}, {32, 3, 1, 1});
    add("down_blocks.0.resnets.0.conv1", "input_blocks.1.0.in_layers.2", {3, 32, 3, 3}, {32, 3, 1, 1});
    for (const char* layer : {"self_attn.q_proj", "self_attn.out_proj"})
      add(std::string("text_model.encoder.layers.1.") + layer, "", {3, 96}, {96, 3});
    add("text_model.encoder.layers.1.mlp.fc1", "", {3, 96}, {128, 3});
  }

  void add(const std::string& diffusers, const std::string& compvis, const Shape& down, const Shape& up) {
    changes_.push_back({diffusers, compvis, test::random(down, 0.3f), test::random(up, 0.3f)});
  }

  template <class Name> Named named(const Name& name, const std::string& down, const std::string& up) const {
    Named tensors;
    for (const LayerChange& change : changes_) {
      const std::string module = name(change);
      if (module.empty()) continue;
      tensors.emplace_back(module + down, change.down);
      tensors.emplace_back(module + up, change.up);
    }
    return tensors;
  }

  // kohya's file of the layers that `chosen` takes.
  template <class Chosen> Result wanted(const Chosen& chosen) {
    const Named tensors = named(
        [&](const LayerChange& c) {
          return !chosen(c) ? "" : (c.of_text() ? "lora_te_" : "lora_unet_") + flat(c.diffusers);
        },
        ".lora_down.weight", ".lora_up.weight");
    return with(tensors, {0.8, 0.8});
  }

  template <class Name> void expect(const Name& name, const std::string& down, const std::string& up) {
    const Result want = wanted([&](const LayerChange& c) { return !name(c).empty(); });
    ASSERT_FALSE(want == run());
    const Result got = with(named(name, down, up), {0.8, 0.8});
    EXPECT_TRUE(got == want) << name(changes_.front()) << down;
    EXPECT_TRUE(got.warnings.empty()) << got.warnings.front();
  }

  std::vector<LayerChange> changes_;
};

using Change = const LayerChange&;

TEST_F(Spellings, OfDiffusersAndPeft) {
  const auto dotted = [](Change c) { return (c.of_text() ? "text_encoder." : "unet.") + c.diffusers; };
  const auto unet_alone = [](Change c) { return c.of_text() ? "" : c.diffusers; };
  expect(dotted, ".lora_A.weight", ".lora_B.weight");
  expect(dotted, ".lora_A.default.weight", ".lora_B.default.weight");
  expect(dotted, ".lora.down.weight", ".lora.up.weight");
  expect(dotted, ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight");
  expect(unet_alone, ".lora_A.weight", ".lora_B.weight");
  expect([](Change c) { return c.of_text() ? "" : "base_model.model." + c.diffusers; }, ".lora_A.weight",
         ".lora_B.weight");
  expect([](Change c) { return c.of_text() ? "base_model.model." + c.diffusers : ""; }, ".lora_A.weight",
         ".lora_B.weight");
  expect([&](Change c) { return "base_model.model." + dotted(c); }, ".lora_A.weight", ".lora_B.weight");
}

TEST_F(Spellings, OfAttentionProcessors) {
  const auto processor = [](const std::string& name) {
    const size_t at = name.rfind('.', name.ends_with(".0") ? name.size() - 3 : std::string::npos);
    std::string layer = name.substr(at + 1);
    if (layer == "to_out.0") layer = "to_out";
    return name.substr(0, at) + ".processor." + layer + "_lora";
  };
  const auto text = [](const std::string& name) {
    return name.ends_with("q_proj") ? name.substr(0, name.size() - 6) + "to_q_lora"
                                    : name.substr(0, name.size() - 8) + "to_out_lora";
  };
  const auto both = [&](Change c) {
    if (!c.attends()) return std::string();
    return c.of_text() ? "text_encoder." + text(c.diffusers) : "unet." + processor(c.diffusers);
  };
  expect(both, ".down.weight", ".up.weight");
  expect([&](Change c) { return c.of_text() || !c.attends() ? "" : processor(c.diffusers); }, ".down.weight",
         ".up.weight");
}

TEST_F(Spellings, OfKohyaOneTrainerAndComfyUi) {
  const std::string down = ".lora_down.weight", up = ".lora_up.weight";
  expect([](Change c) { return c.of_text() ? "lora_te1_" + flat(c.diffusers) : "lora_unet_" + flat(c.compvis); }, down,
         up);
  expect([](Change c) { return c.of_text() ? "" : "diffusion_model." + c.compvis; }, down, up);
  expect([](Change c) { return c.of_text() ? "" : "model.diffusion_model." + c.compvis; }, down, up);
  expect([](Change c) { return (c.of_text() ? "lora_te." : "lora_unet.") + c.diffusers; }, down, up);
  expect([](Change c) { return (c.of_text() ? "text_encoders.clip_l.transformer." : "unet.") + c.diffusers; },
         ".lora_A.weight", ".lora_B.weight");
  expect([](Change c) { return (c.of_text() ? "clip_l." : "unet.") + c.diffusers; }, down, up);
}

// Newer versions of transformers have no "text_model." in a text encoder's names.
TEST_F(Spellings, WithoutTextModel) {
  const auto bare = [](Change c) { return c.diffusers.substr(std::string_view("text_model.").size()); };
  expect([&](Change c) { return c.of_text() ? "text_encoder." + bare(c) : "unet." + c.diffusers; }, ".lora_A.weight",
         ".lora_B.weight");
  expect([&](Change c) { return c.of_text() ? "lora_te_" + flat(bare(c)) : "lora_unet_" + flat(c.diffusers); },
         ".lora_down.weight", ".lora_up.weight");
}

TEST_F(Spellings, InEveryType) {
  const auto kohya = [](Change c) { return (c.of_text() ? "lora_te_" : "lora_unet_") + flat(c.diffusers); };
  for (const DType type : {DType::kF64, DType::kF16, DType::kBF16}) {
    Named tensors = named(kohya, ".lora_down.weight", ".lora_up.weight"), rounded = tensors;
    for (auto& [name, tensor] : tensors) tensor = type == DType::kF64 ? in_double(tensor) : cast(tensor, type);
    if (type != DType::kF64)
      for (auto& [name, tensor] : rounded) tensor = cast(cast(tensor, type), DType::kF32);
    const Result got = with(tensors), want = with(rounded);
    EXPECT_LE(test::relative_l2(got.noise, want.noise), 1e-6);
    EXPECT_LE(test::relative_l2(got.states, want.states), 1e-6);
  }
}

// 8-bit floats stand for their values.
TEST_F(Spellings, InEightBitFloats) {
  const auto kohya = [](Change c) { return (c.of_text() ? "lora_te_" : "lora_unet_") + flat(c.diffusers); };
  for (const DType type : {DType::kF8E4M3, DType::kF8E5M2}) {
    Named small, wide;
    for (const auto& [name, tensor] : named(kohya, ".lora_down.weight", ".lora_up.weight")) {
      Tensor bits = Tensor::empty(tensor.shape(), type);
      {
        const HostEdit<std::byte> bytes(bits);  // magnitudes of 0.25 to 0.44, of both signs
        for (int64_t i = 0; i < bytes.size(); ++i) {
          const int64_t mantissa = i * 7 % 5, sign = i * 3 % 2 * 0x80;
          bytes[i] = static_cast<std::byte>((type == DType::kF8E4M3 ? 0x28 + mantissa : 0x34 + mantissa % 4) + sign);
        }
      }
      wide.emplace_back(name, cast(bits, DType::kF32));
      small.emplace_back(name, bits);
    }
    const Result got = with(small), want = with(wide);
    EXPECT_LE(test::relative_l2(got.noise, want.noise), 1e-6) << name_of(type);
    EXPECT_LE(test::relative_l2(got.states, want.states), 1e-6) << name_of(type);
    EXPECT_GT(test::relative_l2(got.noise, run().noise), 1e-3);
  }
}

// The alpha of each spelling, of half the rank.
TEST_F(Spellings, OfTheAlpha) {
  const LayerChange& c = changes_.front();
  const Tensor alpha = Tensor::full({}, 1.5f);
  const std::string kohya = "lora_unet_" + flat(c.diffusers), peft = "unet." + c.diffusers;
  const Result want = with({{kohya + ".lora_down.weight", c.down}, {kohya + ".lora_up.weight", c.up}}, {0.5, 0.5});
  const Result first =
      with({{kohya + ".lora_down.weight", c.down}, {kohya + ".lora_up.weight", c.up}, {kohya + ".alpha", alpha}});
  EXPECT_TRUE(first == want);
  for (const std::string name : {".alpha", ".lora.alpha"}) {
    EXPECT_TRUE(with({{peft + ".lora_A.weight", c.down}, {peft + ".lora_B.weight", c.up}, {peft + name, alpha}}) ==
                want)
        << name;
  }
  const Named plain{{peft + ".lora_A.weight", c.down}, {peft + ".lora_B.weight", c.up}};
  const auto metadata = [](const std::string& json) {
    return std::map<std::string, std::string>{{"lora_adapter_metadata", json}};
  };
  EXPECT_TRUE(with(plain, {}, metadata(R"({"unet.r": 3, "unet.lora_alpha": 1.5})")) == want);
  EXPECT_TRUE(with(plain, {}, metadata(R"({"unet.lora_alpha": 7, "unet.alpha_pattern": {"attn1.to_q": 1.5}})")) ==
              want);
  EXPECT_TRUE(with(plain, {}, metadata(R"({"text_encoder.lora_alpha": 1.5})")) == with(plain));
  // Of several ends that fit, the last in their order: "to_q" after "attn1.to_q".
  EXPECT_TRUE(with(plain, {}, metadata(R"({"unet.alpha_pattern": {"to_q": 1.5, "attn1.to_q": 9, "o_q": 7}})")) == want);
  const double root = std::sqrt(3.0) / 2.0;
  EXPECT_LE(
      test::relative_l2(
          with(plain, {}, metadata(fmt::format(R"({{"unet.lora_alpha": {}, "unet.use_rslora": true}})", root))).noise,
          want.noise),
      1e-6);
  EXPECT_NE(refusal(plain, metadata(R"({"unet.alpha_pattern": {"to_[qk]": 2}})")).find("regular expression"),
            std::string::npos);
}

// A file of PEFT's own, whose configuration lies beside it.
TEST_F(Spellings, OfAFolderOfPeft) {
  const LayerChange& c = changes_.front();
  const std::string name = "base_model.model." + c.diffusers;
  const Named tensors{{name + ".lora_A.weight", c.down}, {name + ".lora_B.weight", c.up}};
  const Result whole = with(tensors), half = with(tensors, {0.5, 0.5});
  std::ofstream(folder_ / "adapter_config.json") << R"({"r": 3, "lora_alpha": 1.5})";
  EXPECT_FALSE(half == whole);
  EXPECT_TRUE(with(tensors) == half);
}

}  // namespace
}  // namespace sumi::models::lora
