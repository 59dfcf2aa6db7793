// The original's grid: every (T / steps)-th timestep, plus 1. If `steps` does not divide T it has a few more points (30
// steps give 31), as in the original. If the added 1 would leave the schedule (steps 3, 9, 27, …, at which the original
// fails) it is omitted.
#include "base/check.h"
#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> uniform(int total, int steps, Spacing) {
  SUMI_CHECK_KIND(kUsage, steps <= total, "the schedule uniform has at most {} steps, not {}", total, steps);
  const int stride = total / steps, last = (total - 1) / stride * stride;
  const int offset = last + 1 < total ? 1 : 0;
  std::vector<double> out;
  for (int t = last; t >= 0; t -= stride) out.push_back(t + offset);
  return out;
}

const Registration<Schedule> kUniform(Schedule{
    .name = "uniform",
    .help = "the original's grid: every (1000/steps)-th timestep plus 1; default of ddim and plms",
    .aliases = {"ddim_uniform", "ddim uniform", "DDIM"},
    .timesteps = uniform,
    .unit_variance_start = true,
    .previous_is_next_entry = true});

}  // namespace
}  // namespace sumi::diffusion
