// Ancestral sampling of DDPM (Ho et al. 2020, equation 7) with the posterior's own variance ("fixed small"), on fewer
// steps than it was trained with.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor ddpm(const Trajectory& path, Tensor x) {
  for (size_t i = 0; i < path.timesteps.size(); ++i) {
    const double alpha = path.alphas[i];
    const double previous = path.previous_timesteps[i] < 0 ? 1.0 : path.previous_alphas[i];
    const double step_alpha = alpha / previous, step_beta = 1.0 - step_alpha;
    const Tensor eps = path.epsilon(x, path.timesteps[i], alpha);
    const Tensor signal = affine(static_cast<float>(1.0 / std::sqrt(alpha)), x,
                                 static_cast<float>(-std::sqrt((1.0 - alpha) / alpha)), eps);
    x = affine(static_cast<float>(std::sqrt(step_alpha) * (1.0 - previous) / (1.0 - alpha)), x,
               static_cast<float>(std::sqrt(previous) * step_beta / (1.0 - alpha)), signal);
    const double variance = (1.0 - previous) / (1.0 - alpha) * step_beta;
    if (path.timesteps[i] > 0) x = affine(1.0f, x, static_cast<float>(std::sqrt(variance)), path.fresh_noise(x));
    path.report(static_cast<int>(i), x);
  }
  return x;
}

const Registration<Sampler> kDdpm(Sampler{.name = "ddpm",
                                          .help = "DDPM (Ho et al. 2020), ancestral; needs many steps",
                                          .aliases = {"DDPM"},
                                          .space = Space::kTimesteps,
                                          .schedules = {"leading", "trailing", "linspace", "uniform"},
                                          .previous_is_next_entry = true,
                                          .run = ddpm});

}  // namespace
}  // namespace sumi::diffusion
