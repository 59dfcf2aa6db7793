#include "train/diffusion_loss.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/loss.h"

namespace sumi::train {
namespace {

// a_n·x_n + b_n·y_n for each sample n, with the numbers that `factors` gives for its ᾱ.
template <class Factors>
Tensor mix(const diffusion::NoiseSchedule& schedule, const Tensor& x, const Tensor& y,
           const std::vector<int64_t>& timesteps, const Factors& factors) {
  SUMI_CHECK(x.shape() == y.shape() && x.rank() >= 1 && static_cast<int64_t>(timesteps.size()) == x.dim(0),
             "latents {}, noise {} and {} timesteps do not fit together", x.shape().str(), y.shape().str(),
             timesteps.size());
  std::vector<Tensor> rows;
  for (size_t n = 0; n < timesteps.size(); ++n) {
    const int64_t t = timesteps[n], row = static_cast<int64_t>(n);
    SUMI_CHECK(t >= 0 && t < schedule.timesteps(), "timestep {} is not in 0 to {}", t, schedule.timesteps() - 1);
    const auto [a, b] = factors(schedule.alphas_cumprod[static_cast<size_t>(t)]);
    rows.push_back(affine(static_cast<float>(a), x.rows(row, row + 1), static_cast<float>(b), y.rows(row, row + 1)));
  }
  return concat_rows(rows);
}

}  // namespace

std::vector<int64_t> shift_timesteps(std::vector<int64_t> drawn, int64_t timesteps, double shift) {
  for (int64_t& t : drawn) {
    const double u = (static_cast<double>(t) + 0.5) / static_cast<double>(timesteps);
    const double shifted = shift * u / (1.0 + (shift - 1.0) * u);
    t = std::min(timesteps - 1, static_cast<int64_t>(shifted * static_cast<double>(timesteps)));
  }
  return drawn;
}

Tensor add_noise(const diffusion::NoiseSchedule& schedule, const Tensor& z, const Tensor& noise,
                 const std::vector<int64_t>& timesteps) {
  return mix(schedule, z, noise, timesteps, [](double alpha) {
    return std::pair{std::sqrt(alpha), std::sqrt(1.0 - alpha)};
  });
}

Tensor diffusion_loss(const models::UNet& unet, const diffusion::NoiseSchedule& schedule, const DiffusionBatch& batch,
                      const DiffusionLossOptions& options) {
  const Tensor x = add_noise(schedule, batch.z, batch.noise, batch.timesteps);
  Tensor target = batch.noise;
  if (options.prediction == diffusion::Prediction::kVelocity) {
    target = mix(schedule, batch.noise, batch.z, batch.timesteps, [](double alpha) {
      return std::pair{std::sqrt(alpha), -std::sqrt(1.0 - alpha)};
    });
  }
  std::vector<double> weights;
  for (const int64_t t : batch.timesteps) {
    const double alpha = schedule.alphas_cumprod[static_cast<size_t>(t)], snr = alpha / (1.0 - alpha);
    const double clamped = std::min(snr, options.min_snr_gamma);
    if (options.min_snr_gamma > 0.0)
      weights.push_back(options.prediction == diffusion::Prediction::kVelocity ? clamped / (snr + 1.0) : clamped / snr);
  }
  const std::vector<double> timesteps(batch.timesteps.begin(), batch.timesteps.end());
  return mean_squared_error(unet(x, timesteps, batch.context), target, weights);
}

}  // namespace sumi::train
