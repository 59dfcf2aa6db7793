// The midpoint method in log σ (after DPM-Solver-2, Lu et al. 2022; Karras et al. 2022): two network calls a step.
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor slope_at(const Tensor& x, double sigma, const Tensor& denoised) {
  return affine(static_cast<float>(1.0 / sigma), x, static_cast<float>(-1.0 / sigma), denoised);
}

// One step from σ_i to `to`.
Tensor midpoint_step(const Trajectory& path, int i, const Tensor& x, double to) {
  const double from = path.sigmas[static_cast<size_t>(i)];
  const Tensor slope = slope_at(x, from, path.denoised(x, i));
  if (to == 0.0) return affine(1.0f, x, static_cast<float>(-from), slope);
  const double middle = std::sqrt(from * to);
  const Tensor half = affine(1.0f, x, static_cast<float>(middle - from), slope);
  return affine(1.0f, x, static_cast<float>(to - from), slope_at(half, middle, path.denoised(half, middle)));
}

Tensor dpm_2(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    x = midpoint_step(path, i, x, path.sigmas[static_cast<size_t>(i) + 1]);
    path.report(i, x);
  }
  return x;
}

Tensor dpm_2_ancestral(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double to = path.sigmas[static_cast<size_t>(i) + 1];
    const AncestralStep step = ancestral_step(path.sigmas[static_cast<size_t>(i)], to);
    x = midpoint_step(path, i, x, step.down);
    if (to > 0.0) x = affine(1.0f, x, static_cast<float>(step.up), path.fresh_noise(x));
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kDpm2(Sampler{.name = "dpm_2",
                                          .help = "midpoint method in log sigma; two calls a step",
                                          .aliases = {"DPM2"},
                                          .space = Space::kSigmas,
                                          .schedules = kSigmaSchedules,
                                          .automatic = "karras",
                                          .run = dpm_2});
const Registration<Sampler> kDpm2Ancestral(Sampler{.name = "dpm_2_ancestral",
                                                   .help = "dpm_2 with fresh noise every step",
                                                   .aliases = {"DPM2 a", "dpm_2_a"},
                                                   .space = Space::kSigmas,
                                                   .schedules = kSigmaSchedules,
                                                   .automatic = "karras",
                                                   .run = dpm_2_ancestral});

}  // namespace
}  // namespace sumi::diffusion
