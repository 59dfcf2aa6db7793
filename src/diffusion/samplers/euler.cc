// Euler's method on the probability flow (Karras et al. 2022, algorithm 2 without churn).
#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor euler(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double ratio = path.sigmas[static_cast<size_t>(i) + 1] / path.sigmas[static_cast<size_t>(i)];
    x = affine(static_cast<float>(ratio), x, static_cast<float>(1.0 - ratio), path.denoised(x, i));
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kEuler(Sampler{.name = "euler",
                                           .help = "Euler's method (Karras et al. 2022)",
                                           .aliases = {"Euler"},
                                           .space = Space::kSigmas,
                                           .schedules = kSigmaSchedules,
                                           .run = euler});

}  // namespace
}  // namespace sumi::diffusion
