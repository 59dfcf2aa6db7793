#include "train/diffusion_loss.h"

#include <algorithm>
#include <cmath>

#include "ops/layout.h"
#include "ops/loss.h"

namespace sumi::train {
namespace {

// f(x_n, y_n, the level of timestep n) for each sample n.
template <class F>
Tensor by_sample(const diffusion::NoiseSchedule& schedule, const Tensor& x, const Tensor& y,
                 const std::vector<int64_t>& timesteps, const F& f) {
  SUMI_CHECK(x.shape() == y.shape() && x.rank() >= 1 && static_cast<int64_t>(timesteps.size()) == x.dim(0),
             "latents {}, noise {} and {} timesteps do not fit together", x.shape().str(), y.shape().str(),
             timesteps.size());
  std::vector<Tensor> rows;
  for (size_t n = 0; n < timesteps.size(); ++n) {
    const int64_t t = timesteps[n], row = static_cast<int64_t>(n);
    SUMI_CHECK(t >= 0 && t < schedule.timesteps(), "timestep {} is not in 0 to {}", t, schedule.timesteps() - 1);
    rows.push_back(f(x.rows(row, row + 1), y.rows(row, row + 1),
                     diffusion::Level::at_alpha(schedule.alphas_cumprod[static_cast<size_t>(t)])));
  }
  return concat_rows(rows);
}

// min(SNR, γ) as a weight on the error of x_0, converted to one on the error of the prediction. (Hang et al. 2023)
double min_snr_weight(diffusion::Prediction prediction, double snr, double gamma) {
  const double clamped = std::min(snr, gamma);
  switch (prediction) {
    case diffusion::Prediction::kEpsilon: return clamped / snr;
    case diffusion::Prediction::kVelocity: return clamped / (snr + 1.0);
    case diffusion::Prediction::kSample: return clamped;
  }
  return 1.0;
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
  return by_sample(schedule, z, noise, timesteps, diffusion::mix);
}

Tensor diffusion_loss(const models::Denoiser& denoiser, const diffusion::NoiseSchedule& schedule,
                      const DiffusionBatch& batch, const DiffusionLossOptions& options) {
  const Tensor x = add_noise(schedule, batch.z, batch.noise, batch.timesteps);
  const Tensor target = by_sample(schedule, batch.z, batch.noise, batch.timesteps,
                                  [&](const Tensor& z, const Tensor& noise, const diffusion::Level& level) {
                                    return diffusion::target_of(options.prediction, z, noise, level);
                                  });
  std::vector<double> weights;
  for (const int64_t t : batch.timesteps) {
    const double alpha = schedule.alphas_cumprod[static_cast<size_t>(t)], snr = alpha / (1.0 - alpha);
    if (options.min_snr_gamma > 0.0) weights.push_back(min_snr_weight(options.prediction, snr, options.min_snr_gamma));
  }
  const std::vector<double> timesteps(batch.timesteps.begin(), batch.timesteps.end());
  return mean_squared_error(denoiser(x, timesteps, {.sequence = batch.context}), target, weights);
}

}  // namespace sumi::train
