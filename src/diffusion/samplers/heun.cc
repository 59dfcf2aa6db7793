// Heun's method (Karras et al. 2022, algorithm 1): order 2, two network calls a step, one in the last.
#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor heun(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double from = path.sigmas[static_cast<size_t>(i)], to = path.sigmas[static_cast<size_t>(i) + 1];
    const Tensor slope =
        affine(static_cast<float>(1.0 / from), x, static_cast<float>(-1.0 / from), path.denoised(x, i));
    const Tensor ahead = affine(1.0f, x, static_cast<float>(to - from), slope);
    if (to == 0.0) {
      x = ahead;
    } else {
      const Tensor there =
          affine(static_cast<float>(1.0 / to), ahead, static_cast<float>(-1.0 / to), path.denoised(ahead, i + 1));
      x = affine(1.0f, x, static_cast<float>(0.5 * (to - from)), slope + there);
    }
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kHeun(Sampler{.name = "heun",
                                          .help = "Heun's method (Karras et al. 2022); two calls a step",
                                          .aliases = {"Heun"},
                                          .space = Space::kSigmas,
                                          .schedules = kSigmaSchedules,
                                          .run = heun});

}  // namespace
}  // namespace sumi::diffusion
