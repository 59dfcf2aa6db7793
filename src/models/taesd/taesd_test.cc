#include "models/taesd/taesd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/context.h"
#include "models/loading/autoencoder_file.h"
#include "models/loading/prefixes.h"
#include "models/stable_diffusion.h"
#include "models/taesd/taesd_file.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"
#include "tests/support/taesd_files.h"

namespace sumi::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TaesdFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const test::NamedTensors& tensors) {
    io::write_safetensors(folder_ / name, tensors);
    return folder_ / name;
  }
  static AutoencoderFile open(const std::filesystem::path& path, const ModelConfig& config = sd1_config()) {
    return open_autoencoder(path, config);
  }
  static std::string error_of(const std::filesystem::path& path, const LoadOptions& options = {},
                              const ModelConfig& config = sd1_config()) {
    try {
      LoadOptions alone = options;
      alone.text = alone.unet = false;
      StableDiffusion::load(open(path, config).file, config, alone);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  const test::TempFolder folder_;
};

TEST_F(TaesdFiles, OneHalfBringsTheOtherThatLiesBesideIt) {
  const auto decoder = write("taesd_decoder.safetensors", test::tiny_autoencoder("decoder"));
  EXPECT_EQ(taesd_in(*open(decoder).file, kVaePrefix), (TaesdConfig{.encoder = false}));
  const auto encoder = write("taesd_encoder.safetensors", test::tiny_autoencoder("encoder"));
  for (const auto& either : {decoder, encoder}) {
    const AutoencoderFile both = open(either);
    EXPECT_TRUE(both.tiny);
    EXPECT_EQ(taesd_in(*both.file, kVaePrefix), TaesdConfig());
    EXPECT_EQ(error_of(either), "no error");
  }
  write("taesd_encoder.safetensors", test::tiny_autoencoder("decoder"));
  EXPECT_THAT(error_of(decoder), HasSubstr("is not the other half"));
}

TEST_F(TaesdFiles, AHalfThatIsNeededIsMissed) {
  const auto decoder = write("decoder_alone.safetensors", test::tiny_autoencoder("decoder"));
  EXPECT_THAT(error_of(decoder), AllOf(HasSubstr("no encoder"), HasSubstr("put taesd_encoder beside")));
  EXPECT_EQ(error_of(decoder, {.encoder = false}), "no error");
  const ModelConfig config = sd1_config();
  const StableDiffusion model =
      StableDiffusion::load(open(decoder).file, config, {.text = false, .unet = false, .encoder = false});
  try {
    model.encode(Tensor::zeros({1, 16, 16, 3}));
    ADD_FAILURE();
  } catch (const Error& error) {  // as of every model without an encoder
    EXPECT_THAT(error.what(), HasSubstr("the model's autoencoder has no encoder"));
  }
  EXPECT_THROW(model.autoencoder_kl(), Error);
  const auto encoder = write("half_encoder.safetensors", test::tiny_autoencoder("encoder"));
  EXPECT_THAT(error_of(encoder), AllOf(HasSubstr("no decoder"), HasSubstr("put taesd_decoder beside")));
  EXPECT_EQ(error_of(encoder, {.decoder = false}), "no error");
}

TEST_F(TaesdFiles, BrokenOnesAreRefused) {
  const LoadOptions drawing{.encoder = false};
  test::NamedTensors tensors = test::tiny_autoencoder("decoder");
  const auto changed = [&](const std::string& name, const Tensor& value) {
    test::NamedTensors out;
    for (const auto& [key, tensor] : tensors) {
      if (key != name || value) out.emplace_back(key, key == name ? value : tensor);
    }
    return write("changed.safetensors", out);
  };
  EXPECT_THAT(error_of(changed("8.conv.2.weight", {}), drawing), HasSubstr("taesd_decoder.8.conv.2.weight"));
  EXPECT_THAT(error_of(changed("12.weight", Tensor::zeros({64, 64, 1, 1})), drawing),
              HasSubstr("taesd_decoder.12.weight"));
  EXPECT_THAT(error_of(changed("1.weight", {}), drawing), HasSubstr("neither the first convolution"));
  EXPECT_THAT(error_of(changed("1.weight", Tensor::zeros({64, 36})), drawing), HasSubstr("has the shape [64, 36]"));
  const auto whole = write("whole.safetensors", tensors);
  std::filesystem::resize_file(whole, std::filesystem::file_size(whole) / 2);
  EXPECT_THAT(error_of(whole, drawing), HasSubstr("whole.safetensors"));
}

TEST_F(TaesdFiles, LatentsMustFitTheModels) {
  test::NamedTensors tensors = test::tiny_autoencoder("decoder");
  for (auto& [name, value] : tensors) {
    if (name == "1.weight") value = Tensor::zeros({64, 16, 3, 3});
  }
  const auto file = write("taesd3_decoder.safetensors", tensors);
  EXPECT_THAT(error_of(file, {.encoder = false}),
              AllOf(HasSubstr("latents of 16 channels (as taesd3"), HasSubstr("4")));
  ModelConfig shallow = sd1_config();
  shallow.autoencoder.ch_mult = {1, 2};
  EXPECT_THAT(
      error_of(write("taesd_decoder.safetensors", test::tiny_autoencoder("decoder")), {.encoder = false}, shallow),
      HasSubstr("8 pixels to one of a latent, and the model has 2"));
}

TEST_F(TaesdFiles, DiffusersConfigurationIsRead) {
  test::write_tiny_folder(folder_ / "vae");
  EXPECT_EQ(error_of(folder_ / "vae"), "no error");
  EXPECT_EQ(error_of(folder_ / "."), "no error");  // a model's folder
  test::write_tiny_folder(folder_ / "vae", R"({"_class_name": "AutoencoderTiny", "upsample_fn": "bilinear"})");
  EXPECT_THAT(error_of(folder_ / "vae"), HasSubstr("upsample_fn is \"bilinear\"; only \"nearest\""));
  EXPECT_THAT(error_of(folder_ / "vae/diffusion_pytorch_model.safetensors"), HasSubstr("upsample_fn"));
  io::write_safetensors(folder_ / "vae/diffusion_pytorch_model.safetensors",
                        test::NamedTensors{{"conv_in.weight", Tensor::zeros({4, 4, 3, 3})}});
  test::write_file(folder_ / "vae/config.json", R"({"_class_name": "AutoencoderTiny"})");
  EXPECT_THAT(error_of(folder_ / "vae"), HasSubstr("says AutoencoderTiny, and no tensor"));
}

class TaesdTiled : public testing::Test {
 protected:
  TaesdTiled() { test::fill_synthetic(model_, ""); }

  void expect_no_seams(int64_t height, int64_t width, int64_t budget, size_t stage) {
    EXPECT_EQ(plan_taesd_tiles(model_.config(), height, width, budget).stage, stage);
    const Tensor z = test::random({1, height, width, 4}, 3.0f);
    EXPECT_LT(test::relative_l2(model_.decode_tiled(z, budget), model_.decode(z)), 1e-6);
  }

  Taesd model_{{.width = 8}};
};

TEST_F(TaesdTiled, BordersComeFromTheLayers) {
  const TaesdDecoder decoder(8, 4);
  EXPECT_EQ(decoder.border(2), 12);  // ⌈(1 + 3 + 1) / 2⌉ and three blocks of three convolutions
  EXPECT_EQ(decoder.border(1), 16);
  EXPECT_EQ(decoder.border(0), 18);
}

TEST_F(TaesdTiled, EqualTheWhole) {
  expect_no_seams(40, 13, 100'000, 1);
  expect_no_seams(40, 13, 40'000, 0);
  expect_no_seams(20, 33, 400'000, 2);
}

TEST_F(TaesdTiled, EqualTheWholeThatWraps) {
  const ContextScope scope([](Context& context) { context.wrap_x = context.wrap_y = true; });
  expect_no_seams(40, 13, 100'000, 1);
  expect_no_seams(20, 33, 400'000, 2);
}

}  // namespace
}  // namespace sumi::models
