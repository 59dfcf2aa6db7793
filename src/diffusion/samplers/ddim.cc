// DDIM (Song et al. 2021, equation 12). On `uniform` it matches the original, which draws a noise tensor every step,
// used or not: the next batch's x_T depends on it.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor ddim(const Trajectory& path, Tensor x) {
  for (size_t i = 0; i < path.timesteps.size(); ++i) {
    const double alpha = path.alphas[i], previous = path.previous_alphas[i];
    const Tensor eps = path.epsilon(x, path.timesteps[i], alpha);
    const double sigma = path.options.eta * std::sqrt((1.0 - previous) / (1.0 - alpha) * (1.0 - alpha / previous));
    const double direction = std::sqrt(std::max(0.0, 1.0 - previous - sigma * sigma));
    x = affine(static_cast<float>(std::sqrt(previous / alpha)), x,
               static_cast<float>(direction - std::sqrt(previous * (1.0 - alpha) / alpha)), eps);
    if (sigma > 0.0 || path.schedule.previous_is_next_entry) {
      const Tensor noise = path.fresh_noise(x);
      if (sigma > 0.0) x = affine(1.0f, x, static_cast<float>(sigma), noise);
    }
    path.report(static_cast<int>(i), x);
  }
  return x;
}

const Registration<Sampler> kDdim(Sampler{.name = "ddim",
                                          .help = "DDIM (Song et al. 2021); eta adds noise back, 1 is DDPM's amount",
                                          .aliases = {"DDIM"},
                                          .space = Space::kTimesteps,
                                          .schedules = kTimestepSchedules,
                                          .takes_eta = true,
                                          .run = ddim});

}  // namespace
}  // namespace sumi::diffusion
