// DPM-Solver++(2M) (Lu et al. 2023, algorithm 2): multistep of order 2, one network call a step. Written in σ: with
// λ = -log σ the paper's α_t cancels. `dpm_solver` is the same on the original's grid, which ends at the first
// timestep's noise instead of 0, and takes its last step with order 1 if there are fewer than 15 steps.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

Tensor dpmpp_2m(const Trajectory& path, Tensor x) {
  Tensor older;
  for (int i = 0; i < path.steps(); ++i) {
    const size_t at = static_cast<size_t>(i);
    const double from = path.sigmas[at], to = path.sigmas[at + 1], ratio = to / from;
    const Tensor signal = path.denoised(x, i);
    const bool first_order = !older || to == 0.0 || (i + 1 == path.steps() && path.all_steps < 15);
    Tensor blend = signal;
    if (!first_order) {
      const double r =
          std::log(path.sigmas[at - 1] / from) / std::log(from / to);  // last step's length over this one's
      blend = affine(static_cast<float>(1.0 + 0.5 / r), signal, static_cast<float>(-0.5 / r), older);
    }
    x = affine(static_cast<float>(ratio), x, static_cast<float>(1.0 - ratio), blend);
    older = signal;
    path.report(i, x);
  }
  return x;
}

// steps + 1 timesteps, evenly spaced from the last to the first; log ᾱ is linear between whole ones.
Points original_grid(const NoiseSchedule& noise, int steps) {
  const std::vector<double>& alphas = noise.alphas_cumprod;
  const int last = noise.timesteps() - 1;
  Points points;
  for (int i = 0; i <= steps; ++i) {
    const double t = last * (1.0 - static_cast<double>(i) / steps);
    const size_t low = static_cast<size_t>(t), high = std::min(low + 1, alphas.size() - 1);
    const double w = t - static_cast<double>(low);
    const double log_alpha = (1.0 - w) * std::log(alphas[low]) + w * std::log(alphas[high]);
    points.sigmas.push_back(std::sqrt(std::expm1(-log_alpha)));
    if (i < steps) points.timesteps.push_back(t);
  }
  return points;
}

const Registration<Sampler> kDpmpp2m(Sampler{.name = "dpmpp_2m",
                                             .help = "DPM-Solver++(2M) (Lu et al. 2023)",
                                             .aliases = {"DPM++ 2M"},
                                             .space = Space::kSigmas,
                                             .schedules = kSigmaSchedules,
                                             .automatic = "karras",
                                             .spacing = {.solver = true},
                                             .run = dpmpp_2m});
const Registration<Sampler> kDpmSolver(Sampler{.name = "dpm_solver",
                                               .help = "DPM-Solver++(2M) on its own grid, as in the original's script",
                                               .aliases = {"dpm"},
                                               .space = Space::kSigmas,
                                               .schedules = {"uniform"},
                                               .own_grid = original_grid,
                                               .run = dpmpp_2m});

}  // namespace
}  // namespace sumi::diffusion
