#include "diffusion/sigma_table.h"

#include <algorithm>
#include <cmath>

namespace sumi::diffusion {
namespace {

double interpolate(const std::vector<double>& values, double at) {
  const double last = static_cast<double>(values.size() - 1);
  const double clamped = std::clamp(at, 0.0, last);
  const size_t low = static_cast<size_t>(clamped), high = std::min(low + 1, values.size() - 1);
  const double w = clamped - static_cast<double>(low);
  return (1.0 - w) * values[low] + w * values[high];
}

}  // namespace

SigmaTable::SigmaTable(const NoiseSchedule& noise) {
  for (double alpha : noise.alphas_cumprod) {
    sigmas_.push_back(std::sqrt((1.0 - alpha) / alpha));
    log_sigmas_.push_back(std::log(sigmas_.back()));
  }
}

double SigmaTable::at(double timestep) const { return std::exp(interpolate(log_sigmas_, timestep)); }

double SigmaTable::at_linear(double timestep) const { return interpolate(sigmas_, timestep); }

double SigmaTable::timestep_of(double sigma) const {
  const double log_sigma = std::log(sigma);
  const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), log_sigma);
  if (above == log_sigmas_.begin()) return 0.0;
  if (above == log_sigmas_.end()) return static_cast<double>(log_sigmas_.size() - 1);
  const double low = *(above - 1), high = *above;
  return static_cast<double>(above - 1 - log_sigmas_.begin()) + (log_sigma - low) / (high - low);
}

}  // namespace sumi::diffusion
