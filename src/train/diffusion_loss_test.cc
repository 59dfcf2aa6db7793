#include "train/diffusion_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sumi::train {
namespace {

std::vector<int64_t> all(int64_t timesteps) {
  std::vector<int64_t> out(static_cast<size_t>(timesteps));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

TEST(ShiftTimesteps, OneLeavesThemAsTheyAre) { EXPECT_EQ(shift_timesteps(all(1000), 1000, 1.0), all(1000)); }

TEST(ShiftTimesteps, FollowsTheFormula) {
  // u = (t + ½)/T: 4·u/(1 + 3·u) of 0.5/10, 5.5/10 and 9.5/10 is 0.173…, 0.830… and 0.987….
  EXPECT_EQ(shift_timesteps({0, 5, 9}, 10, 4.0), (std::vector<int64_t>{1, 8, 9}));
  // The same for the mirrored values.
  EXPECT_EQ(shift_timesteps({9, 4, 0}, 10, 0.25), (std::vector<int64_t>{8, 1, 0}));
}

TEST(ShiftTimesteps, StaysInRangeAndInOrder) {
  for (const double shift : {0.01, 0.5, 3.0, 100.0}) {
    const std::vector<int64_t> shifted = shift_timesteps(all(1000), 1000, shift);
    EXPECT_TRUE(std::is_sorted(shifted.begin(), shifted.end())) << shift;
    EXPECT_GE(shifted.front(), 0) << shift;
    EXPECT_LE(shifted.back(), 999) << shift;
  }
}

TEST(ShiftTimesteps, MovesTheMedian) {
  // The median moves to s/(1 + s).
  const std::vector<int64_t> shifted = shift_timesteps(all(1000), 1000, 3.0);
  EXPECT_EQ(std::count_if(shifted.begin(), shifted.end(), [](int64_t t) { return t >= 750; }), 500);
}

// ---- targets and weights

// A network that always returns `answer`.
class Constant : public models::Denoiser {
 public:
  explicit Constant(Tensor answer) : answer_(std::move(answer)) {}
  models::DenoiserInputs wants() const override { return {}; }
  void set_checkpointing(bool) override {}
  void visit(nn::ParamVisitor&) override {}

 protected:
  Tensor predict(const Tensor&, const std::vector<double>&, const models::Conditioning&,
                 models::ContextCache*) const override {
    return answer_;
  }

 private:
  Tensor answer_;
};

class Targets : public testing::TestWithParam<diffusion::Prediction> {
 protected:
  // The correct prediction at ᾱ for z and noise e.
  static double target(double alpha, double z, double e) {
    switch (GetParam()) {
      case diffusion::Prediction::kEpsilon: return e;
      case diffusion::Prediction::kVelocity: return std::sqrt(alpha) * e - std::sqrt(1.0 - alpha) * z;
      case diffusion::Prediction::kSample: return z;
    }
    return 0.0;
  }
  static double loss(const Tensor& answer, const DiffusionBatch& batch, double gamma) {
    return diffusion_loss(Constant(answer), schedule(), batch, {.prediction = GetParam(), .min_snr_gamma = gamma})
        .host<float>()[0];
  }
  static diffusion::NoiseSchedule schedule() { return diffusion::make_noise_schedule("linear", 1000, 0.00085, 0.012); }
};

TEST_P(Targets, AreWhatTheNetworkIsSaidToPredict) {
  const double z = 2.0, e = -0.5;
  const DiffusionBatch batch{.z = Tensor::full({1, 1, 1, 1}, static_cast<float>(z)),
                             .noise = Tensor::full({1, 1, 1, 1}, static_cast<float>(e)),
                             .timesteps = {300}};
  const double alpha = schedule().alphas_cumprod[300], right = target(alpha, z, e);
  EXPECT_NEAR(loss(Tensor::full({1, 1, 1, 1}, static_cast<float>(right)), batch, 0.0), 0.0, 1e-12);
  EXPECT_NEAR(loss(Tensor::full({1, 1, 1, 1}, static_cast<float>(right + 0.25)), batch, 0.0), 0.0625, 1e-6);
}

// The error of the signal has the same weight for every kind of prediction: an error δ of the signal is √SNR·δ in the
// noise and √(SNR+1)·δ in the velocity.
TEST_P(Targets, MinSnrWeighsTheErrorOfTheSignal) {
  for (const int64_t t : {5, 300, 900}) {
    const double alpha = schedule().alphas_cumprod[static_cast<size_t>(t)], snr = alpha / (1.0 - alpha);
    const DiffusionBatch batch{
        .z = Tensor::zeros({1, 1, 1, 1}), .noise = Tensor::zeros({1, 1, 1, 1}), .timesteps = {t}};
    const double factor = GetParam() == diffusion::Prediction::kEpsilon    ? std::sqrt(snr)
                          : GetParam() == diffusion::Prediction::kVelocity ? std::sqrt(snr + 1.0)
                                                                           : 1.0;
    const double delta = 0.1, want = std::min(snr, 5.0) * delta * delta;
    EXPECT_NEAR(loss(Tensor::full({1, 1, 1, 1}, static_cast<float>(factor * delta)), batch, 5.0), want, 1e-5 * want)
        << t;
  }
}

INSTANTIATE_TEST_SUITE_P(Predictions, Targets,
                         testing::Values(diffusion::Prediction::kEpsilon, diffusion::Prediction::kVelocity,
                                         diffusion::Prediction::kSample),
                         [](const auto& test) { return std::string(diffusion::name_of(test.param)); });

}  // namespace
}  // namespace sumi::train
