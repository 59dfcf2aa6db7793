#include "ops/machine_peak.h"

#include <chrono>
#include <vector>

#include "base/parallel.h"

namespace sumi {

constinit KernelSlot<FmaPeakKernel> fma_peak_slot("fma_peak");

double measure_fma_peak(Device device, double seconds) {
  using Clock = std::chrono::steady_clock;
  FmaPeakKernel& kernel = fma_peak_slot.on(device);
  constexpr int64_t kRound = 100000;  // some 30 µs: short enough to stop on time
  std::vector<double> rates(static_cast<size_t>(num_threads()));
  parallel_for(num_threads(), [&](int64_t thread) {
    const Clock::time_point begin = Clock::now();
    double flops = 0.0, elapsed = 0.0;
    while (elapsed < seconds) {
      flops += kernel(kRound);
      elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    rates[static_cast<size_t>(thread)] = flops / elapsed;
  });
  double total = 0.0;
  for (double rate : rates) total += rate;
  return total * 1e-9;
}

}  // namespace sumi
