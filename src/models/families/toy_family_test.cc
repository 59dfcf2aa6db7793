// A new family, added with only what docs/add_a_model.md describes: one registration. The rest of this file is its
// test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "io/safetensors.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/clip_text/clip_text.h"
#include "models/defaults.h"
#include "models/family.h"
#include "models/loading/open.h"
#include "models/loading/prefixes.h"
#include "models/stable_diffusion.h"
#include "models/unet/unet.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

// What families/toy/toy.cc would be.

constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"toy.denoiser.", kUNetPrefix}, {"toy.pictures.", kVaePrefix}, {"toy.words.", kTextPrefix}};

bool has_own_names(const io::Checkpoint& file) { return file.has("toy.denoiser.input_blocks.0.0.weight"); }

std::string engine_name(const std::string& name) {
  for (const auto& [own, engine] : kNames) {
    if (name.starts_with(own)) return std::string(engine) + name.substr(own.size());
  }
  return name;
}

bool fits(const ModelConfig& c) {
  return c.unet.channel_mult == std::vector<int64_t>{1, 2} && c.unet.context_dim == 96;
}

void complete(ModelConfig& c, const std::string& source) {
  SUMI_CHECK(c.text.hidden_size == 96, "{}: a toy model's text encoder is 96 wide, not {}", source, c.text.hidden_size);
  c.unet.num_heads = 4;
  c.unet.legacy = false;
  c.text.heads = 3;
  c.text.quick_gelu = false;
  c.timesteps = 500;
  c.prediction = diffusion::Prediction::kVelocity;
  c.default_size = 16;
  c.sampling = {.sampler = "euler", .steps = 7, .scale = 2.5};
}

// The toy's text encoder has its own layer norm epsilon.
ClipTextConfig words_config(ClipTextConfig c) {
  c.layer_norm_eps = 1e-2;
  return c;
}

Recipe recipe() {
  Recipe toy = compvis_recipe();
  toy.text_encoders.front().make = [](const ModelConfig& c) -> std::unique_ptr<TextEncoder> {
    return std::make_unique<ClipText>(words_config(c.text));
  };
  return toy;
}

const FamilyRegistration kRegistration({.name = "toy",
                                        .help = "a family for a test",
                                        .rank = 50,
                                        .fits = fits,
                                        .complete = complete,
                                        .has_own_names = has_own_names,
                                        .engine_name = engine_name,
                                        .recipe = recipe()});

// Its test.

ModelConfig sizes() {
  ModelConfig c;
  c.family = "toy";
  c.unet.model_channels = 32;
  c.unet.channel_mult = {1, 2};
  c.unet.num_res_blocks = {1};
  c.unet.transformer_depth = {0, 2};
  c.unet.context_dim = 96;
  c.autoencoder.ch = 32;
  c.autoencoder.ch_mult = {1, 2};
  c.autoencoder.num_res_blocks = 1;
  c.autoencoder.resolution = 64;
  c.text = {.vocab_size = 64, .max_positions = 8, .hidden_size = 96, .layers = 2, .heads = 1, .intermediate_size = 128};
  complete(c, "sizes");
  return c;
}

class ToyFamily : public testing::Test {
 protected:
  // A file under the family's own names, each network filled by its parameters' engine names.
  void write() {
    UNet unet(config_.unet);
    AutoencoderKL pictures(config_.autoencoder);
    ClipText words(config_.text);
    nn::Module* modules[] = {&unet, &pictures, &words};
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (size_t i = 0; i < std::size(modules); ++i) {
      test::fill_synthetic(*modules[i], std::string(kNames[i].second));
      nn::for_each_param(*modules[i], std::string(kNames[i].first),
                         [&](const std::string& name, nn::Param& param) { tensors.emplace_back(name, param.value); });
    }
    tensors.emplace_back("about", Tensor::zeros({1}));
    for (auto& extra : extra_) tensors.push_back(extra);
    io::write_safetensors(folder_ / "toy.safetensors", tensors);
  }
  std::shared_ptr<const io::Checkpoint> open() {
    write();
    return open_model_files(folder_ / "toy.safetensors");
  }

  const ModelConfig config_ = sizes();
  std::vector<std::pair<std::string, Tensor>> extra_;
  test::TempFolder folder_;
};

TEST_F(ToyFamily, IsOpenedUnderTheEnginesNames) {
  const auto file = open();
  EXPECT_EQ(file->format(), "safetensors");
  EXPECT_TRUE(file->has("model.diffusion_model.input_blocks.0.0.weight"));
  EXPECT_TRUE(file->has("first_stage_model.decoder.conv_in.weight"));
  EXPECT_TRUE(file->has("about"));
  EXPECT_FALSE(file->has("toy.denoiser.input_blocks.0.0.weight"));
  EXPECT_THROW(file->tensor("toy.denoiser.input_blocks.0.0.weight"), Error);
}

TEST_F(ToyFamily, OneParameterUnderTwoNamesIsRefused) {
  extra_.emplace_back("model.diffusion_model.out.2.bias", Tensor::zeros({4}));
  try {
    open();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), testing::HasSubstr("are the same parameter, model.diffusion_model.out.2.bias"));
  }
}

TEST_F(ToyFamily, IsFoundFromTheFileAndFromTheYaml) {
  const ModelConfig detected = config_for(*open(), {});
  EXPECT_EQ(detected.family, "toy");
  EXPECT_EQ(detected.unet, config_.unet);
  EXPECT_EQ(detected, config_);
  EXPECT_EQ(config_from_yaml_text(config_to_yaml(detected), "toy.yaml"), detected);
  const DrawingDefaults drawing = resolve_defaults(detected);
  EXPECT_EQ(drawing.sampler, "euler");
  EXPECT_EQ(drawing.size, 16);
}

TEST_F(ToyFamily, RunsAsItsNetworksDo) {
  const StableDiffusion model = StableDiffusion::load(open(), config_, {});
  UNet unet(config_.unet);
  test::fill_synthetic(unet, std::string(kUNetPrefix));
  ClipText words(words_config(config_.text));
  test::fill_synthetic(words, std::string(kTextPrefix));
  const Tensor ids = Tensor::zeros({1, 8}, DType::kI64), x = Tensor::full({1, 8, 8, 4}, 0.5f);
  const Tensor context = model.encode_text(ids), expected_context = words.encode(ids, {}).hidden;
  ASSERT_EQ(context.bytes(), expected_context.bytes());
  EXPECT_TRUE(test::same_bytes(context, expected_context));
  const Tensor out = model.predict(x, {3.0}, {.sequence = context}), expected = unet(x, {3.0}, {.sequence = context});
  ASSERT_EQ(out.bytes(), expected.bytes());
  EXPECT_TRUE(test::same_bytes(out, expected));
}

}  // namespace
}  // namespace sumi::models
