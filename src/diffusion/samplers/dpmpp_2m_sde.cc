// DPM-Solver++(2M) for the stochastic equation, midpoint form (Lu et al. 2023, SDE-DPM-Solver++(2M)).
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor dpmpp_2m_sde(const Trajectory& path, Tensor x) {
  Tensor older;
  for (int i = 0; i < path.steps(); ++i) {
    const size_t at = static_cast<size_t>(i);
    const double from = path.sigmas[at], to = path.sigmas[at + 1], ratio = to / from,
                 gain = 1.0 - ratio * ratio;  // 1 - e^(-2h)
    const Tensor signal = path.denoised(x, i);
    const bool first_order = !older || to == 0.0 || (i + 1 == path.steps() && path.all_steps < 15);
    Tensor blend = signal;
    if (!first_order) {
      const double r = std::log(path.sigmas[at - 1] / from) / std::log(from / to);
      blend = affine(static_cast<float>(1.0 + 0.5 / r), signal, static_cast<float>(-0.5 / r), older);
    }
    x = affine(static_cast<float>(ratio * ratio), x, static_cast<float>(gain), blend);
    const Tensor noise = path.fresh_noise(x);
    if (to > 0.0) x = affine(1.0f, x, static_cast<float>(to * std::sqrt(gain)), noise);
    older = signal;
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kDpmpp2mSde(Sampler{.name = "dpmpp_2m_sde",
                                                .help = "DPM-Solver++(2M) SDE, fresh noise every step",
                                                .aliases = {"DPM++ 2M SDE"},
                                                .space = Space::kSigmas,
                                                .schedules = kSigmaSchedules,
                                                .automatic = "exponential",
                                                .spacing = {.solver = true},
                                                .run = dpmpp_2m_sde});

}  // namespace
}  // namespace sumi::diffusion
