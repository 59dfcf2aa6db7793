// Euler's method below the next noise level, then fresh noise up to it.
#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor euler_ancestral(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double from = path.sigmas[static_cast<size_t>(i)], to = path.sigmas[static_cast<size_t>(i) + 1];
    const AncestralStep step = ancestral_step(from, to);
    const double ratio = step.down / from;
    x = affine(static_cast<float>(ratio), x, static_cast<float>(1.0 - ratio), path.denoised(x, i));
    if (to > 0.0) x = affine(1.0f, x, static_cast<float>(step.up), path.fresh_noise(x));
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kEulerAncestral(Sampler{.name = "euler_ancestral",
                                                    .help = "Euler with fresh noise every step",
                                                    .aliases = {"Euler a", "euler_a"},
                                                    .space = Space::kSigmas,
                                                    .schedules = kSigmaSchedules,
                                                    .run = euler_ancestral});

}  // namespace
}  // namespace sumi::diffusion
