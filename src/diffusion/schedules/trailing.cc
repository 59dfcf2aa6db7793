// diffusers' "trailing" spacing: from the last timestep down in steps of T / steps, rounded. (Lin et al. 2024)
#include "base/check.h"
#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> trailing(int total, int steps, Spacing) {
  SUMI_CHECK_KIND(kUsage, steps <= total, "the schedule trailing has at most {} steps, not {}", total, steps);
  std::vector<double> out;
  out.reserve(static_cast<size_t>(steps));
  for (int i = 0; i < steps; ++i) out.push_back(round_half_even(total - i * (static_cast<double>(total) / steps)) - 1);
  return out;
}

const Registration<Schedule> kTrailing(Schedule{
    .name = "trailing", .help = "diffusers' trailing spacing: begins at the last timestep", .timesteps = trailing});

}  // namespace
}  // namespace sumi::diffusion
