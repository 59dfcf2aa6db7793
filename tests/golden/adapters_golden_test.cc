// Adapter files of every format, as their tools write them, against the numbers of the tools.
#include <gtest/gtest.h>

#include <filesystem>

#include "io/checkpoint.h"
#include "models/stable_diffusion.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tools/synthetic.h"

namespace sumi {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string file, vectors;
  double weight = 0.8;
};

class AdaptersGolden : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    const fs::path file = fs::path(SUMI_TEST_MODELS) / "tiny_f32_modules.safetensors";
    fs::create_directories(file.parent_path());
    if (!fs::exists(file)) tools::write_synthetic(file, {.size = "tiny", .dtype = DType::kF32});
    std::shared_ptr<const io::Checkpoint> checkpoint = io::open_checkpoint(file);
    const auto config = models::config_for(*checkpoint, std::string(SUMI_TEST_DATA) + "/tiny.yaml");
    model_ = std::make_unique<models::StableDiffusion>(
        models::StableDiffusion::load(checkpoint, config, {.autoencoder = false}));
    golden_ = io::open_checkpoint(fs::path(SUMI_TEST_DATA) / "tiny_lora_formats.safetensors");
  }
  static void TearDownTestSuite() {
    model_.reset();
    golden_.reset();
  }

  static Tensor noise() {
    const Tensor t = golden_->tensor("unet_t");
    const HostView<int64_t> times(t);
    return nhwc_to_nchw(model_->predict(nchw_to_nhwc(golden_->tensor("unet_x")),
                                        std::vector<double>(times.begin(), times.end()),
                                        {.sequence = golden_->tensor("base.text_hidden")}));
  }
  static Tensor hidden() { return model_->encode_text(golden_->tensor("text_ids")); }

  // `name` without a text model's vectors: the file does not touch it.
  static void expect(const std::string& name) {
    EXPECT_LE(test::relative_l2(noise(), golden_->tensor(name + ".unet_eps")), 1e-4) << name;
    const std::string text = golden_->has(name + ".text_hidden") ? name : "base";
    EXPECT_LE(test::relative_l2(hidden(), golden_->tensor(text + ".text_hidden")), 1e-4) << name;
  }

  static inline std::unique_ptr<models::StableDiffusion> model_;
  static inline std::unique_ptr<io::Checkpoint> golden_;
};

TEST_P(AdaptersGolden, EqualTheToolsThatMadeThem) {
  const Case& c = GetParam();
  const Tensor noise_before = noise(), hidden_before = hidden();
  ASSERT_GT(test::relative_l2(golden_->tensor(c.vectors + ".unet_eps"), noise_before), 1e-3) << "the file does nothing";
  {
    const auto file = io::open_checkpoint(fs::path(SUMI_TEST_DATA) / "lora" / (c.file + ".safetensors"));
    nn::Adapters adapters;
    model_->adapt(adapters, *file, {.unet = c.weight, .text = c.weight});
    adapters.finish();
    const nn::AdaptersScope scope(&adapters);
    expect(c.vectors);
  }
  EXPECT_TRUE(test::same_bytes(noise(), noise_before)) << "the next run differs";
  EXPECT_TRUE(test::same_bytes(hidden(), hidden_before)) << "the next run differs";
}

INSTANTIATE_TEST_SUITE_P(
    Files, AdaptersGolden,
    testing::Values(Case{"kohya_lora", "kohya_lora"}, Case{"kohya_lora_conv", "kohya_lora_conv"},
                    Case{"lycoris_locon", "lycoris_locon"}, Case{"lycoris_locon_tucker", "lycoris_locon_tucker"},
                    Case{"lycoris_loha", "lycoris_loha"}, Case{"lycoris_loha_tucker", "lycoris_loha_tucker"},
                    Case{"lycoris_lokr", "lycoris_lokr"}, Case{"lycoris_lokr_both", "lycoris_lokr_both"},
                    Case{"lycoris_lokr_full", "lycoris_lokr_full"}, Case{"lycoris_lokr_tucker", "lycoris_lokr_tucker"},
                    Case{"lycoris_ia3", "lycoris_ia3"}, Case{"lycoris_full", "lycoris_full"},
                    Case{"lycoris_norm", "lycoris_norm"}, Case{"dora_out", "dora_out_1.0", 1.0},
                    Case{"dora_out", "dora_out_0.8_blend"}, Case{"dora_in", "dora_in_1.0", 1.0},
                    Case{"dora_in", "dora_in_0.8_blend"}, Case{"diffusers_peft", "diffusers_peft"},
                    Case{"diffusers_lora_linear_layer", "diffusers_lora_linear_layer"},
                    Case{"diffusers_old", "diffusers_old"}, Case{"diffusers_old_unet_only", "diffusers_old_unet_only"}),
    [](const auto& one) {
      std::string name = one.param.vectors;
      for (char& c : name)
        if (c == '.') c = '_';
      return name;
    });

}  // namespace
}  // namespace sumi
