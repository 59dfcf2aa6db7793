// The learning rate over a run.
#pragma once

#include <cstdint>
#include <string>

namespace sumi::train {

struct LrSchedule {
  double peak = 1e-4;
  int64_t warmup = 0;              // steps from 0 to the peak, linear
  std::string shape = "constant";  // after the warm-up: "constant", or "cosine" down to 0 at the last step
  int64_t steps = 0;               // of the run

  // The rate of step 0, 1, …
  double at(int64_t step) const;
  // Throws Error(kUsage) for an unknown shape or numbers out of range.
  void check() const;
};

}  // namespace sumi::train
