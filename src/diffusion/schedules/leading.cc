// diffusers' "leading" spacing with steps_offset 1, as in Stable Diffusion's folders.
#include <algorithm>

#include "base/check.h"
#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> leading(int total, int steps, Spacing spacing) {
  const int points = spacing.solver ? steps + 1 : steps;
  SUMI_CHECK_KIND(kUsage, points < total, "the schedule leading has at most {} steps here, not {}",
                  total - 1 - (points - steps), steps);
  const int stride = total / points;
  std::vector<double> out;
  for (int i = points - 1; i >= points - steps; --i) out.push_back(std::min(i * stride + 1, total - 1));
  return out;
}

const Registration<Schedule> kLeading(Schedule{.name = "leading",
                                               .help = "diffusers' leading spacing, offset 1",
                                               .timesteps = leading,
                                               .unit_variance_start = true});

}  // namespace
}  // namespace sumi::diffusion
