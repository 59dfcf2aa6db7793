#include "train/lr_schedule.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sumi::train {

double LrSchedule::at(int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (shape != "cosine") return peak;
  const double span = static_cast<double>(std::max<int64_t>(1, steps - warmup));
  const double part = std::min(1.0, static_cast<double>(step - warmup) / span);
  return 0.5 * peak * (1.0 + std::cos(M_PI * part));
}

void LrSchedule::check() const {
  SUMI_CHECK_KIND(kUsage, shape == "constant" || shape == "cosine", "`lr_shape` must be constant or cosine, not {}",
                  shape);
  SUMI_CHECK_KIND(kUsage, std::isfinite(peak) && peak > 0.0 && peak <= 1.0,
                  "`lr` must be above 0 and at most 1, not {}", peak);
  SUMI_CHECK_KIND(kUsage, warmup >= 0, "`warmup` must be 0 or more, not {}", warmup);
}

}  // namespace sumi::train
