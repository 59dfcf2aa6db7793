// log σ spaced evenly between the model's largest and smallest σ.
#include <cmath>

#include "diffusion/schedule.h"

namespace sumi::diffusion {
namespace {

std::vector<double> exponential(const SigmaTable& table, int steps) {
  const double high = std::log(table.largest()), low = std::log(table.smallest());
  std::vector<double> out;
  for (int i = 0; i < steps; ++i) {
    const double share = steps > 1 ? static_cast<double>(i) / (steps - 1) : 0.0;
    out.push_back(std::exp(high + share * (low - high)));
  }
  return out;
}

const Registration<Schedule> kExponential(Schedule{
    .name = "exponential", .help = "evenly in log sigma", .aliases = {"polyexponential"}, .sigmas = exponential});

}  // namespace
}  // namespace sumi::diffusion
