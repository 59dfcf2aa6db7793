#include "diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/count.h"

namespace sumi::diffusion {
namespace {

// `count` values from first to last, evenly spaced; one value is `first`.
double linspace(double first, double last, int count, int i) {
  return count == 1 ? first : first + (last - first) * i / (count - 1);
}

// Nichol and Dhariwal 2021, eq. 17: betas from the ratio of neighbouring values of a squared cosine, capped.
double cosine_beta(int t, int timesteps) {
  constexpr double kOffset = 0.008, kCap = 0.999;
  const auto alpha_bar = [&](int i) {
    const double u = (static_cast<double>(i) / timesteps + kOffset) / (1.0 + kOffset);
    return std::pow(std::cos(u * std::numbers::pi / 2.0), 2.0);
  };
  return std::min(1.0 - alpha_bar(t + 1) / alpha_bar(t), kCap);
}

double beta(const std::string& kind, int t, int timesteps, double start, double end) {
  if (kind == "linear" || kind == "scaled_linear") {
    return std::pow(linspace(std::sqrt(start), std::sqrt(end), timesteps, t), 2.0);
  }
  if (kind == "linear_betas") return linspace(start, end, timesteps, t);
  if (kind == "cosine") return cosine_beta(t, timesteps);
  fail(ErrorKind::kData,
       "unknown beta schedule '{}'; choose from linear (also called scaled_linear), "
       "linear_betas and cosine",
       kind);
}

}  // namespace

NoiseSchedule make_noise_schedule(const std::string& kind, int timesteps, double linear_start, double linear_end) {
  count("noise_schedule");
  SUMI_CHECK(timesteps >= 1 && timesteps <= 100000, "a noise schedule has 1 to 100000 timesteps, not {}", timesteps);
  NoiseSchedule schedule;
  schedule.alphas_cumprod.reserve(static_cast<size_t>(timesteps));
  double product = 1.0;
  for (int t = 0; t < timesteps; ++t) {
    const double value = beta(kind, t, timesteps, linear_start, linear_end);
    SUMI_CHECK(value > 0.0 && value < 1.0,
               "the beta schedule '{}' from {} to {} over {} timesteps has the beta {} at timestep {}; each must be "
               "between 0 and 1",
               kind, linear_start, linear_end, timesteps, value, t);
    product *= 1.0 - value;
    schedule.alphas_cumprod.push_back(product);
  }
  SUMI_CHECK(product > 0.0, "the beta schedule '{}' from {} to {} leaves no signal after {} timesteps", kind,
             linear_start, linear_end, timesteps);
  return schedule;
}

}  // namespace sumi::diffusion
