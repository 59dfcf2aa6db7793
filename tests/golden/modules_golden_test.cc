// The three networks against the numbers of the original implementation, on the synthetic weights.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "core/context.h"
#include "io/checkpoint.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/stable_diffusion.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tools/synthetic.h"

namespace sumi {
namespace {

struct Golden {
  std::string size;  // "tiny" or "sd1"
  DType dtype;
  Device device;
  double tolerance;  // relative L2: f32 rounding differs between engines; f16 and bf16 weights are rounded
  bool exact = false;
  DType activations = DType::kF32;
};

class ModulesGolden : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    const Golden& p = GetParam();
    const std::filesystem::path vectors = std::string(SUMI_TEST_DATA) + "/" + p.size + "_modules.safetensors";
    if (!std::filesystem::exists(vectors)) GTEST_SKIP() << "the golden vectors " << vectors << " are not shipped";
    golden_ = io::open_checkpoint(vectors);
    const std::filesystem::path folder = SUMI_TEST_MODELS;
    std::filesystem::create_directories(folder);
    const std::filesystem::path file = folder / (p.size + "_" + std::string(name_of(p.dtype)) + "_modules.safetensors");
    if (!std::filesystem::exists(file)) tools::write_synthetic(file, {.size = p.size, .dtype = p.dtype});
    std::shared_ptr<const io::Checkpoint> checkpoint = io::open_checkpoint(file);
    const models::ModelConfig config =
        models::config_for(*checkpoint, p.size == "tiny" ? std::string(SUMI_TEST_DATA) + "/tiny.yaml" : "");
    model_.emplace(models::StableDiffusion::load(checkpoint, config,
                                                 {.device = p.device, .exact = p.exact, .activations = p.activations}));
  }

  Tensor vector(const std::string& name) const { return golden_->tensor(name).to(GetParam().device); }
  Tensor picture(const std::string& name) const { return nchw_to_nhwc(vector(name)); }

  void expect_close(const Tensor& nhwc, const std::string& name) const {
    const Tensor got = nhwc.rank() == 4 ? nhwc_to_nchw(nhwc) : nhwc, want = vector(name);
    ASSERT_EQ(got.shape(), want.shape());
    EXPECT_LE(test::relative_l2(got, want), GetParam().tolerance) << name;
  }

  std::unique_ptr<io::Checkpoint> golden_;
  std::optional<models::StableDiffusion> model_;
};

TEST_P(ModulesGolden, EqualTheOriginal) {
  expect_close(model_->encode_text(golden_->tensor("text_ids")), "text_hidden");
  for (const std::string k : {"0", "1"}) {
    std::vector<double> timesteps;
    const Tensor t = golden_->tensor("unet_t" + k);
    for (int64_t value : t.host<int64_t>()) timesteps.push_back(static_cast<double>(value));
    expect_close(model_->predict(picture("unet_x" + k), timesteps, {.sequence = vector("text_hidden")}),
                 "unet_eps" + k);
    expect_close(model_->decode_unscaled(picture("vae_z" + k)), "vae_image" + k);
    expect_close(model_->encode(picture("vae_in" + k)), "vae_moments" + k);
  }
}

// The autoencoder with f16 activations; StableDiffusion would run it in float32.
class AutoencoderGolden : public ModulesGolden {};

TEST_P(AutoencoderGolden, EqualsTheOriginalInEveryType) {
  const ContextScope scope([](Context& context) { context.activations = GetParam().activations; });
  expect_close(model_->autoencoder().decode(picture("vae_z0")), "vae_image0");
  expect_close(model_->autoencoder().encode(picture("vae_in0")), "vae_moments0");
}

std::string name_of_case(const testing::TestParamInfo<Golden>& test) {
  const Golden& p = test.param;
  return p.size + "_" + std::string(name_of(p.dtype)) + "_" + std::string(name_of(p.device)) +
         (p.exact ? "_exact" : "") + (p.activations == DType::kF32 ? "" : "_in_" + std::string(name_of(p.activations)));
}

INSTANTIATE_TEST_SUITE_P(Networks, ModulesGolden,
                         testing::Values(Golden{"tiny", DType::kF32, Device::kCpu, 2e-5},
                                         Golden{"tiny", DType::kF32, Device::kCpu, 2e-5, true},
                                         Golden{"tiny", DType::kF16, Device::kCpu, 3e-3},
                                         Golden{"tiny", DType::kBF16, Device::kCpu, 2e-2},
                                         Golden{"tiny", DType::kF32, Device::kRef, 2e-5},
                                         Golden{"tiny", DType::kF32, Device::kGuard, 2e-5},
                                         Golden{"tiny", DType::kF32, Device::kRef, 3e-3, false, DType::kF16},
                                         Golden{"tiny", DType::kF32, Device::kRef, 2e-2, false, DType::kBF16},
                                         Golden{"tiny", DType::kF32, Device::kCpu, 3e-3, false, DType::kF16},
                                         Golden{"tiny", DType::kF32, Device::kCpu, 2e-2, false, DType::kBF16},
                                         Golden{"tiny", DType::kF32, Device::kGuard, 3e-3, false, DType::kF16}),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Networks, AutoencoderGolden,
                         testing::Values(Golden{"tiny", DType::kF32, Device::kRef, 3e-3, false, DType::kF16},
                                         Golden{"tiny", DType::kF32, Device::kRef, 2e-2, false, DType::kBF16},
                                         Golden{"tiny", DType::kF32, Device::kCpu, 3e-3, false, DType::kF16}),
                         name_of_case);

}  // namespace
}  // namespace sumi
