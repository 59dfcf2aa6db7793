// Latent consistency models (Luo et al. 2023): each call jumps to the signal, then noise is added for the next level.
// Its grid is a subset of the 50 `trailing` steps that the model was distilled on.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

constexpr int kDistilledSteps = 50;

Points lcm_grid(const NoiseSchedule& noise, int steps) {
  const int stride = noise.timesteps() / kDistilledSteps;
  SUMI_CHECK_KIND(kUsage, steps <= kDistilledSteps && stride > 0, "lcm takes at most {} steps, not {}", kDistilledSteps,
                  steps);
  Points points;
  for (int i = 0; i < steps; ++i) {
    const int picked = kDistilledSteps - i * kDistilledSteps / steps;  // of the 50, counted from the picture's end
    points.timesteps.push_back(picked * stride - 1);
    points.alphas.push_back(noise.alphas_cumprod[static_cast<size_t>(points.timesteps.back())]);
  }
  return points;
}

Tensor lcm(const Trajectory& path, Tensor x) {
  constexpr double kTimestepScale = 10.0, kDataVariance = 0.25;
  for (size_t i = 0; i < path.timesteps.size(); ++i) {
    const double alpha = path.alphas[i];
    const Tensor eps = path.epsilon(x, path.timesteps[i], alpha);
    // The consistency function's boundary condition: c_skip·x + c_out·signal.
    const double t = path.timesteps[i] * kTimestepScale, skip = kDataVariance / (t * t + kDataVariance);
    const double out = t / std::sqrt(t * t + kDataVariance);
    x = affine(static_cast<float>(skip + out / std::sqrt(alpha)), x,
               static_cast<float>(-out * std::sqrt((1.0 - alpha) / alpha)), eps);
    if (i + 1 < path.timesteps.size()) {
      const double next = path.alphas[i + 1];
      x = affine(static_cast<float>(std::sqrt(next)), x, static_cast<float>(std::sqrt(1.0 - next)),
                 path.fresh_noise(x));
    }
    path.report(static_cast<int>(i), x);
  }
  return x;
}

const Registration<Sampler> kLcm(Sampler{
    .name = "lcm",
    .help = "latent consistency (Luo et al. 2023), for models distilled for it; 1 to 8 steps",
    .aliases = {"LCM"},
    .space = Space::kTimesteps,
    .schedules = {"trailing"},
    .own_grid = lcm_grid,
    .run = lcm});

}  // namespace
}  // namespace sumi::diffusion
