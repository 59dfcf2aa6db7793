// Euler's method on the probability flow (Karras et al. 2022, algorithm 2 without churn).
#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor euler(const Run& run, Tensor x) {
  for (int i = 0; i < run.steps(); ++i) {
    const double ratio = run.sigmas[static_cast<size_t>(i) + 1] / run.sigmas[static_cast<size_t>(i)];
    x = affine(static_cast<float>(ratio), x, static_cast<float>(1.0 - ratio), run.denoised(x, i));
    run.report(i, x);
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
