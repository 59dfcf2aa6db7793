// Karras et al. 2022, equation 5: σ^(1/ρ) spaced evenly, ρ = 7, between the model's largest and smallest σ.
#include <cmath>

#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> karras(const SigmaTable& table, int steps) {
  constexpr double kRho = 7.0;
  const double high = std::pow(table.largest(), 1.0 / kRho), low = std::pow(table.smallest(), 1.0 / kRho);
  std::vector<double> out;
  for (int i = 0; i < steps; ++i) {
    const double share = steps > 1 ? static_cast<double>(i) / (steps - 1) : 0.0;
    out.push_back(std::pow(high + share * (low - high), kRho));
  }
  return out;
}

const Registration<Schedule> kKarras(Schedule{.name = "karras", .help = "Karras et al. 2022, rho 7", .sigmas = karras});
const Registration<Schedule> kLinspaceKarras(Schedule{
    .name = "linspace_karras",
    .help = "diffusers' variant of karras: its solvers round the timesteps and start from unit variance",
    .aliases = {"karras_linspace", "diffusers_karras"},
    .sigmas = karras,
    .diffusers_sigmas = true});

}  // namespace
}  // namespace sumi::diffusion
