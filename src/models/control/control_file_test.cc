// ControlNets' files: every layout gives the same network, and other files are told apart.
#include "models/control/control_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/gguf.h"
#include "models/control/control_net.h"
#include "models/stable_diffusion.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "tests/support/control_files.h"
#include "tests/support/random_tensor.h"
#include "tests/support/rejected.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"

namespace sumi::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ControlFiles : public testing::Test {
 protected:
  // What the network of a file adds in the middle.
  Tensor middle(const std::filesystem::path& path) const {
    const auto file = open_control(path, config_);
    const auto network = bind_control(*file, Device::kCpu);
    return (*network)(x_, {700.0, 20.0}, text_, network->encode_hint(hint_)).middle;
  }
  void expect_same(const std::filesystem::path& path) const {
    EXPECT_TRUE(test::same_bytes(middle(path), plain_)) << path;
  }
  // Of a file of zeros with these names and shapes.
  std::string refusal(const test::Shapes& shapes) const {
    test::NamedTensors tensors;
    for (const auto& [name, shape] : shapes) tensors.emplace_back(name, Tensor::zeros(shape));
    const std::filesystem::path path = folder_ / "refused.safetensors";
    io::write_safetensors(path, tensors);
    return test::rejection(path, [&] { open_control(path, config_); });
  }
  std::string refusal(const std::string& name) const { return refusal(test::Shapes{{name, Shape{1}}}); }

  const test::TempFolder folder_;
  const ModelConfig config_ = config_from_yaml(std::string(SUMI_TEST_DATA) + "/tiny.yaml");
  const Tensor x_ = test::random({2, 8, 8, 4}), text_ = test::random({2, 5, 64}),
               hint_ = test::random({1, 64, 64, 3}, 0.2f, 0.5f);
  Tensor plain_;

  void SetUp() override {
    io::write_safetensors(folder_ / "plain.safetensors", test::tiny_control());
    plain_ = middle(folder_ / "plain.safetensors");
  }
};

TEST_F(ControlFiles, EveryLayoutAndContainerGivesTheSameNetwork) {
  const test::NamedTensors own = test::tiny_control();
  const auto renamed = [](const test::NamedTensors& tensors, const auto& name) {
    return test::with_names(tensors, name);
  };
  const auto bare =
      renamed(own, [](const std::string& name) { return name.substr(std::string("control_model.").size()); });
  io::write_safetensors(folder_ / "bare.safetensors", bare);
  expect_same(folder_ / "bare.safetensors");
  test::write_pth(folder_ / "control.pth", own, "state_dict");
  expect_same(folder_ / "control.pth");
  test::write_pth(folder_ / "compiled.pth", renamed(own, [](const std::string& n) { return "module." + n; }), "");
  expect_same(folder_ / "compiled.pth");

  io::write_safetensors(folder_ / "diffusers.safetensors", test::tiny_control_of_diffusers());
  expect_same(folder_ / "diffusers.safetensors");
  test::write_control_folder(folder_ / "pipeline" / "controlnet");
  expect_same(folder_ / "pipeline");
  expect_same(folder_ / "pipeline" / "controlnet");
  expect_same(folder_ / "pipeline" / "controlnet" / "diffusion_pytorch_model.safetensors");
  std::filesystem::remove(folder_ / "pipeline" / "controlnet" / "diffusion_pytorch_model.safetensors");
  test::write_pth(folder_ / "pipeline" / "controlnet" / "diffusion_pytorch_model.bin",
                  test::tiny_control_of_diffusers(), "");
  expect_same(folder_ / "pipeline" / "controlnet");
}

TEST_F(ControlFiles, OneInsideAWholeModelIsFound) {
  const auto model = io::open_checkpoint(test::synthetic_model());
  test::NamedTensors all = test::tiny_control();
  for (const io::TensorInfo& info : model->tensors()) all.emplace_back(info.name, model->tensor(info.name));
  io::write_safetensors(folder_ / "control_sd15_canny.safetensors", all);
  expect_same(folder_ / "control_sd15_canny.safetensors");
  // Only the ControlNet counts for the plan.
  EXPECT_EQ(open_control(folder_ / "control_sd15_canny.safetensors", config_)->weight_bytes(),
            open_control(folder_ / "plain.safetensors", config_)->weight_bytes());
}

TEST_F(ControlFiles, HalfAndQuantisedWeightsAreClose) {
  test::NamedTensors half = test::tiny_control();
  for (auto& [name, value] : half) value = cast(value, DType::kF16);
  io::write_safetensors(folder_ / "half.safetensors", half);
  EXPECT_LE(test::relative_l2(middle(folder_ / "half.safetensors"), plain_), 3e-3);
  EXPECT_EQ(2 * open_control(folder_ / "half.safetensors", config_)->weight_bytes(),
            open_control(folder_ / "plain.safetensors", config_)->weight_bytes());

  std::vector<io::TensorInfo> infos;
  test::NamedTensors blocks = test::tiny_control();
  for (auto& [name, value] : blocks) {
    if (value.rank() == 2 && value.dim(1) % 32 == 0) value = cast(value, DType::kQ8);
    infos.push_back({name, value.dtype(), value.shape()});
  }
  io::GgufWriter writer(folder_ / "control.gguf", infos);
  for (const auto& [name, value] : blocks) writer.write(value);
  writer.commit();
  EXPECT_LE(test::relative_l2(middle(folder_ / "control.gguf"), plain_), 3e-2);
}

TEST_F(ControlFiles, TakesLatentsAloneWhereTheModelTakesMore) {
  ModelConfig inpainting = config_;
  inpainting.unet.in_channels = 9;
  EXPECT_EQ(open_control(folder_ / "plain.safetensors", inpainting)->config.in_channels, 4);
}

TEST_F(ControlFiles, ThoseOfOtherFamiliesAreRefused) {
  test::Shapes shapes = test::manifest_shapes("tiny_controlnet");
  for (auto& [name, shape] : shapes) {
    if (name.ends_with("attn2.to_k.weight") || name.ends_with("attn2.to_v.weight")) shape[1] = 1024;
  }
  EXPECT_THAT(refusal(shapes),
              HasSubstr("is a ControlNet for models whose texts are 1024 wide, and this model's are 64"));
  // In diffusers' names, with three levels where the model has four.
  EXPECT_THAT(refusal({{"controlnet_cond_embedding.conv_in.weight", {16, 3, 3, 3}},
                       {"down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k.weight", {64, 2048}}}),
              AllOf(HasSubstr("2048"), HasSubstr("SDXL")));
  EXPECT_THAT(refusal({{"control_model.label_emb.0.0.weight", {128, 2816}}}), HasSubstr("for SDXL"));
  shapes = test::manifest_shapes("tiny_controlnet");
  shapes["control_model.input_blocks.0.0.weight"] = {48, 4, 3, 3};
  EXPECT_THAT(refusal(shapes),
              AllOf(HasSubstr("input_blocks.0.0.weight is [48, 4, 3, 3]"), HasSubstr("[32, 4, 3, 3]")));
  shapes.erase("control_model.input_blocks.0.0.weight");
  EXPECT_THAT(refusal(shapes), HasSubstr("has no tensor control_model.input_blocks.0.0.weight"));
}

TEST_F(ControlFiles, OtherKindsOfFilesAreNamed) {
  EXPECT_THAT(refusal("lllite_unet_input_blocks_1_1.down.0.weight"), HasSubstr("is a ControlNet-LLLite"));
  EXPECT_THAT(refusal({{"lora_controlnet", Shape{1}}, {"input_hint_block.0.weight", {16, 3, 3, 3}}}),
              HasSubstr("is a ControlNet-LoRA"));
  EXPECT_THAT(refusal({{"difference", Shape{1}}, {"control_model.zero_convs.0.0.bias", Shape{32}}}),
              HasSubstr("as differences to a UNet"));
  EXPECT_THAT(refusal("image_proj.proj.weight"), HasSubstr("is an IP-Adapter"));
  EXPECT_THAT(refusal("lora_unet_down_blocks_0.lora_up.weight"), HasSubstr("is a LoRA; give it with `loras`"));
  EXPECT_THAT(refusal("body.0.block1.weight"), HasSubstr("is a T2I-Adapter"));
  EXPECT_THAT(refusal("adapter.conv_in.weight"), HasSubstr("is a T2I-Adapter"));
  EXPECT_THAT(refusal("emb_params"), HasSubstr("is a textual inversion embedding"));
  EXPECT_THAT(refusal("controlnet_blocks.0.weight"), HasSubstr("for a transformer"));
  EXPECT_THAT(refusal("model.diffusion_model.out.0.bias"), HasSubstr("a whole model without a ControlNet"));
  EXPECT_THAT(refusal("down_blocks.0.resnets.0.conv1.weight"), HasSubstr("is a UNet in diffusers' names"));
  EXPECT_THAT(refusal("conv_first.weight"), HasSubstr("enlarges pictures"));
  EXPECT_THAT(refusal("something.else"), AllOf(HasSubstr("is no ControlNet"), HasSubstr("something.else")));

  using namespace std::string_literals;
  for (const std::string& picture : {"\x89PNG\r\n\x1a\n"s, "\xff\xd8\xff\xe0"s, "GIF89a"s, "RIFF\0\0\0\0WEBPVP8 "s,
                                     "BM\x10\0\0\0\0\0\0\0"s, "\0\0\0 ftypavif"s}) {
    const std::filesystem::path path = folder_ / "picture";
    test::write_file(path, picture + std::string(20, '\1'));
    EXPECT_THAT(test::rejection(path, [&] { open_control(path, config_); }),
                HasSubstr("is a picture and no ControlNet"));
  }
  const auto missing = folder_ / "missing.pth";
  EXPECT_THAT(test::rejection(missing, [&] { open_control(missing, config_); }), Not(HasSubstr("picture")));
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_THAT(test::rejection(folder_ / "empty", [&] { open_control(folder_ / "empty", config_); }),
              HasSubstr("holds no weights of a ControlNet"));
}

TEST_F(ControlFiles, ConfigurationsTellWhatShapesDoNot) {
  const std::filesystem::path folder = folder_ / "control";
  test::write_control_folder(folder, R"({"global_pool_conditions": true})");
  EXPECT_TRUE(open_control(folder, config_)->pooled);
  EXPECT_FALSE(open_control(folder_ / "plain.safetensors", config_)->pooled);
  test::write_control_folder(folder, R"({"controlnet_conditioning_channel_order": "bgr"})");
  EXPECT_THAT(test::rejection(folder / "config.json", [&] { open_control(folder, config_); }), HasSubstr("only rgb"));
}

TEST_F(ControlFiles, PooledResidualsAreMeansOfThePicture) {
  io::write_safetensors(folder_ / "control_v11e_sd15_shuffle.safetensors", test::tiny_control());
  const Tensor pooled = middle(folder_ / "control_v11e_sd15_shuffle.safetensors");
  ASSERT_EQ(pooled.shape(), plain_.shape());
  const int64_t pixels = plain_.dim(1) * plain_.dim(2), channels = plain_.dim(3);
  const HostView<float> got(pooled), from(plain_);
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      double mean = 0.0;
      for (int64_t p = 0; p < pixels; ++p) mean += from[(n * pixels + p) * channels + c] / static_cast<double>(pixels);
      for (int64_t p = 0; p < pixels; ++p) ASSERT_NEAR(got[(n * pixels + p) * channels + c], mean, 1e-5);
    }
  }
}

TEST_F(ControlFiles, RefusesShapesThatDoNotFit) {
  const auto network = bind_control(*open_control(folder_ / "plain.safetensors", config_), Device::kCpu);
  const Tensor features = network->encode_hint(hint_);
  EXPECT_EQ(features.shape(), (Shape{1, 8, 8, 32}));
  const auto refusal_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal_of([&] {
                network->encode_hint(Tensor::zeros({1, 64, 64, 1}));
              }),
              HasSubstr("a picture [N,H,W,3]"));
  EXPECT_THAT(refusal_of([&] {
                (*network)(test::random({2, 8, 4, 4}), {1, 1}, text_, features);
              }),
              HasSubstr("a hint of their size, not [2, 8, 4, 4] and [1, 8, 8, 32]"));
  EXPECT_THAT(refusal_of([&] { (*network)(x_, {1}, text_, features); }), HasSubstr("1 timesteps for 2 latents"));
  EXPECT_THAT(refusal_of([&] { (*network)(x_, {1, 1}, {}, features); }), HasSubstr("takes a text [2,T,64], not none"));
  const Tensor three = concat_rows({features, features, features});
  EXPECT_THAT(refusal_of([&] { (*network)(x_, {1, 1}, text_, three); }), HasSubstr("3 hints for 2 latents"));
}

TEST(ControlResiduals, AreWeighedAndSummed) {
  const auto made = [] {
    ControlResiduals out{.middle = Tensor::full({1, 1, 1, 2}, 8.0f)};
    for (int i = 0; i < 3; ++i) out.skips.push_back(Tensor::full({1, 1, 1, 2}, 1.0f));
    return out;
  };
  const auto value = [](const Tensor& x) { return HostView<float>(x)[1]; };
  ControlResiduals soft = made();
  weigh(soft, 0.5, true);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(value(soft.skips[i]), 0.5 * std::pow(0.825, 3.0 - static_cast<double>(i)), 1e-7);
  EXPECT_EQ(value(soft.middle), 4.0f);
  const ControlResiduals sum = add(made(), soft);
  EXPECT_EQ(value(sum.middle), 12.0f);
  EXPECT_NEAR(value(sum.skips[0]), 1.0 + value(soft.skips[0]), 1e-7);
  EXPECT_EQ(value(add({}, soft).middle), 4.0f);
  const ControlResiduals half = after_nothing(soft, 2);
  ASSERT_EQ(half.middle.shape(), (Shape{3, 1, 1, 2}));
  const HostView<float> values(half.middle);
  EXPECT_THAT(values.span(), testing::ElementsAre(0, 0, 0, 0, 4, 4));
}

}  // namespace
}  // namespace sumi::models
