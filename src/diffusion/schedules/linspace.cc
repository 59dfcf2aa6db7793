// diffusers' "linspace" spacing: evenly from the last timestep to the first. Solvers leave the first out and round.
#include "base/check.h"
#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> linspace(int total, int steps, Spacing spacing) {
  SUMI_CHECK_KIND(kUsage, steps < total, "the schedule linspace has at most {} steps, not {}", total - 1, steps);
  const int points = spacing.solver ? steps + 1 : steps;
  std::vector<double> out;
  for (int i = points - 1; i >= points - steps; --i) {
    const double t = points > 1 ? static_cast<double>(total - 1) * i / (points - 1) : total - 1;
    out.push_back(spacing.solver ? round_half_even(t) : t);
  }
  return out;
}

const Registration<Schedule> kLinspace(Schedule{
    .name = "linspace",
    .help = "diffusers' linspace spacing: evenly from the last timestep to the first",
    .timesteps = linspace});

}  // namespace
}  // namespace sumi::diffusion
