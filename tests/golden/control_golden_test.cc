// ControlNets against the numbers of the original implementation, on the synthetic weights.
#include <gtest/gtest.h>

#include <optional>

#include "diffusion/guidance.h"
#include "models/control/control_file.h"
#include "models/control/control_net.h"
#include "models/stable_diffusion.h"
#include "ops/layout.h"
#include "tests/support/control_files.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_models.h"

namespace sumi {
namespace {

struct Case {
  bool diffusers;  // the folder of ControlNetModel, else CompVis' file
  Device device = Device::kCpu;
  DType activations = DType::kF32;
  double tolerance = 1e-5;  // relative L2: float32 rounding differs between engines
};

class ControlGolden : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const Case& c = GetParam();
    const std::filesystem::path path = folder_ / (c.diffusers ? "control" : "control_v11p_sd15_canny.safetensors");
    if (c.diffusers) {
      test::write_control_folder(path);
    } else {
      io::write_safetensors(path, test::tiny_control());
    }
    std::shared_ptr<const io::Checkpoint> checkpoint = io::open_checkpoint(test::synthetic_model());
    const models::ModelConfig config = models::config_for(*checkpoint, std::string(SUMI_TEST_DATA) + "/tiny.yaml");
    model_.emplace(models::StableDiffusion::load(
        checkpoint, config, {.device = c.device, .text = false, .autoencoder = false, .activations = c.activations}));
    file_ = models::open_control(path, config);
    network_ = models::bind_control(*file_, c.device);
  }

  void open_vectors(const std::string& name) {
    golden_ = io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/" + name + ".safetensors");
  }
  Tensor vector(const std::string& name) const { return golden_->tensor(name).to(GetParam().device); }
  Tensor picture(const std::string& name) const { return nchw_to_nhwc(vector(name)); }
  std::vector<double> timesteps(const std::string& name) const {
    const Tensor t = golden_->tensor(name);
    std::vector<double> out;
    for (const int64_t value : t.host<int64_t>()) out.push_back(static_cast<double>(value));
    return out;
  }

  void expect_close(const Tensor& nhwc, const std::string& name, double tolerance) const {
    const Tensor got = nhwc_to_nchw(cast(nhwc, DType::kF32)), want = golden_->tensor(name);
    ASSERT_EQ(got.shape(), want.shape());
    EXPECT_LE(test::relative_l2(got, want), tolerance) << name;
  }

  const test::TempFolder folder_;
  std::optional<models::StableDiffusion> model_;
  std::shared_ptr<const models::ControlFile> file_;
  std::unique_ptr<models::ControlNet> network_;
  std::unique_ptr<io::Checkpoint> golden_;
};

TEST_P(ControlGolden, ResidualsAndWhatTheUNetMakesOfThem) {
  open_vectors("tiny_controlnet_modules");
  const double tolerance = GetParam().tolerance;
  for (const std::string k : {"0", "1"}) {
    const Tensor x = picture("unet_x" + k), features = model_->encode_hint(*network_, picture("hint" + k));
    const std::vector<double> t = timesteps("unet_t" + k);
    models::Conditioning conditioning{.sequence = vector("text_hidden")};
    const models::ControlResiduals residuals = model_->control(*network_, x, t, conditioning, features);
    ASSERT_EQ(residuals.skips.size(), 12u);
    if (k == "0") {
      for (size_t i = 0; i < 12; ++i) expect_close(residuals.skips[i], "control" + std::to_string(i), tolerance);
      expect_close(residuals.middle, "control12", tolerance);
    }
    expect_close(model_->predict(x, t, conditioning), "unet_eps" + k + "_none", tolerance);
    for (const auto& [ending, weight, soft] :
         {std::tuple{"_1.0", 1.0, false}, {"_0.6", 0.6, false}, {"_soft", 1.0, true}}) {
      conditioning.control = residuals;
      models::weigh(conditioning.control, weight, soft);
      expect_close(model_->predict(x, t, conditioning), "unet_eps" + k + ending, tolerance);
    }
  }
}

// In float32 alone: rounding to f16 grows along a trajectory. Not by `ref`, which takes a minute.
class ControlTrajectories : public ControlGolden {};

// One hint for all samples of a batch, or one for each, which may be the same.
TEST_P(ControlTrajectories, OneHintServesABatch) {
  open_vectors("tiny_controlnet_modules");
  const Tensor x = picture("unet_x0"), one = picture("hint0").rows(0, 1);
  const models::Conditioning conditioning{.sequence = vector("text_hidden")};
  const auto residuals = [&](const Tensor& hint) {
    return model_->control(*network_, x, {500.0, 10.0}, conditioning, model_->encode_hint(*network_, hint));
  };
  const models::ControlResiduals shared = residuals(one), each = residuals(concat_rows({one, one}));
  EXPECT_LE(test::relative_l2(cast(shared.middle, DType::kF32), cast(each.middle, DType::kF32)), GetParam().tolerance);
  const Tensor other = residuals(picture("hint0")).middle;  // two different ones
  EXPECT_GT(test::relative_l2(cast(shared.middle, DType::kF32), cast(other, DType::kF32)), 1e-3);
}

TEST_P(ControlTrajectories, EndWhereTheOriginalsEnd) {
  open_vectors("tiny_controlnet_ddim");
  const Tensor features = model_->encode_hint(*network_, picture("hint"));
  const models::Conditioning cond{.sequence = vector("cond")}, uncond{.sequence = vector("uncond")};
  const diffusion::Grid grid = diffusion::make_grid(
      model_->noise_schedule(),
      {.sampler = "ddim", .schedule = "uniform", .steps = std::stoi(golden_->metadata().at("steps"))});
  const auto noise = [](const Shape& shape) { return Tensor::full(shape, 1.0f); };  // drawn, and multiplied by 0
  for (const auto& [name, weight, guess] :
       {std::tuple{"strength1.0", 1.0, false}, {"strength0.6", 0.6, false}, {"guess1.0", 1.0, true}}) {
    // In guess mode the first half of the doubled batch, which is without the prompt, gets no residuals.
    const auto network = [&, weight = weight, guess = guess](const Tensor& x, double t,
                                                             const models::Conditioning& both) {
      models::Conditioning conditioning = both;
      const int64_t first = guess ? x.dim(0) / 2 : 0, count = x.dim(0) - first;
      models::ControlResiduals residuals =
          model_->control(*network_, x.rows(first, first + count), std::vector<double>(static_cast<size_t>(count), t),
                          {.sequence = both.sequence.rows(first, first + count)}, features);
      models::weigh(residuals, weight, guess);
      conditioning.control = guess ? models::after_nothing(residuals, first) : residuals;
      return model_->predict(x, std::vector<double>(static_cast<size_t>(x.dim(0)), t), conditioning);
    };
    const Tensor latent = diffusion::sample(
        diffusion::guided<models::Conditioning>(network, cond, uncond, std::stod(golden_->metadata().at("scale"))),
        {picture("x_T")}, grid, noise);
    expect_close(latent, name, 1e-4);
  }
}

std::string name_of_case(const testing::TestParamInfo<Case>& test) {
  const Case& c = test.param;
  return std::string(c.diffusers ? "diffusers_" : "compvis_") + std::string(name_of(c.device)) +
         (c.activations == DType::kF32 ? "" : "_in_" + std::string(name_of(c.activations)));
}

INSTANTIATE_TEST_SUITE_P(Networks, ControlGolden,
                         testing::Values(Case{false}, Case{true}, Case{false, Device::kRef}, Case{true, Device::kGuard},
                                         Case{false, Device::kCpu, DType::kF16, 3e-3},
                                         Case{false, Device::kGuard, DType::kBF16, 2e-2}),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Networks, ControlTrajectories,
                         testing::Values(Case{false}, Case{true}, Case{false, Device::kGuard}), name_of_case);

}  // namespace
}  // namespace sumi
