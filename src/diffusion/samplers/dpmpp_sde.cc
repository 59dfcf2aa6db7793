// DPM-Solver++ for the stochastic equation, single step of order 2 (after Lu et al. 2023; two network calls a step).
// The noise of the half step and of the whole one belong to one Brownian path: the whole's is the sum of the two
// halves'.
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor dpmpp_sde(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double from = path.sigmas[static_cast<size_t>(i)], to = path.sigmas[static_cast<size_t>(i) + 1];
    const Tensor signal = path.denoised(x, i);
    if (to == 0.0) {
      x = signal;
      path.report(i, x);
      continue;
    }
    const double middle = std::sqrt(from * to);
    const Tensor noise_1 = path.fresh_noise(x), noise_2 = path.fresh_noise(x);
    const AncestralStep half = ancestral_step(from, middle);
    const double half_ratio = half.down / from;
    Tensor between = affine(static_cast<float>(half_ratio), x, static_cast<float>(1.0 - half_ratio), signal);
    between = affine(1.0f, between, static_cast<float>(half.up), noise_1);
    const Tensor better = path.denoised(between, middle);  // with r = 1/2 the blend is the midpoint's estimate alone
    const AncestralStep whole = ancestral_step(from, to);
    const double ratio = whole.down / from;
    x = affine(static_cast<float>(ratio), x, static_cast<float>(1.0 - ratio), better);
    const double share = (from - middle) / (from - to);  // of the path's time
    const Tensor sum =
        affine(static_cast<float>(std::sqrt(share)), noise_1, static_cast<float>(std::sqrt(1.0 - share)), noise_2);
    x = affine(1.0f, x, static_cast<float>(whole.up), sum);
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kDpmppSde(Sampler{.name = "dpmpp_sde",
                                              .help = "DPM-Solver++ SDE; two calls a step, fresh noise",
                                              .aliases = {"DPM++ SDE"},
                                              .space = Space::kSigmas,
                                              .schedules = kSigmaSchedules,
                                              .automatic = "karras",
                                              .run = dpmpp_sde});

}  // namespace
}  // namespace sumi::diffusion
