// DPM-Solver++(2S) (Lu et al. 2023, algorithm 1) with fresh noise every step; two network calls a step.
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor dpmpp_2s_ancestral(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double from = path.sigmas[static_cast<size_t>(i)], to = path.sigmas[static_cast<size_t>(i) + 1];
    const AncestralStep step = ancestral_step(from, to);
    const Tensor signal = path.denoised(x, i);
    if (step.down == 0.0) {
      x = signal;
    } else {
      const double middle = std::sqrt(from * step.down), half = middle / from, whole = step.down / from;
      const Tensor between = affine(static_cast<float>(half), x, static_cast<float>(1.0 - half), signal);
      x = affine(static_cast<float>(whole), x, static_cast<float>(1.0 - whole), path.denoised(between, middle));
    }
    if (to > 0.0) x = affine(1.0f, x, static_cast<float>(step.up), path.fresh_noise(x));
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kDpmpp2sAncestral(Sampler{.name = "dpmpp_2s_ancestral",
                                                      .help = "DPM-Solver++(2S) with fresh noise; two calls a step",
                                                      .aliases = {"DPM++ 2S a", "dpmpp_2s_a"},
                                                      .space = Space::kSigmas,
                                                      .schedules = kSigmaSchedules,
                                                      .automatic = "karras",
                                                      .run = dpmpp_2s_ancestral});

}  // namespace
}  // namespace sumi::diffusion
