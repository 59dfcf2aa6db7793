// k-diffusion's default: σ at timesteps spaced evenly from the last to the first; log σ is linear between whole ones.
#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> discrete(const SigmaTable& table, int steps) {
  std::vector<double> out;
  out.reserve(static_cast<size_t>(steps));
  const double last = table.timesteps() - 1;
  for (int i = 0; i < steps; ++i)
    out.push_back(table.at(steps > 1 ? last * (1.0 - static_cast<double>(i) / (steps - 1)) : last));
  return out;
}

const Registration<Schedule> kDiscrete(Schedule{.name = "discrete",
                                                .help = "k-diffusion's: linear in time; default of its samplers",
                                                .aliases = {"normal", "default"},
                                                .sigmas = discrete});

}  // namespace
}  // namespace sumi::diffusion
