#include "ops/machine_peak.h"

#include <chrono>
#include <vector>

namespace sumi {

constinit KernelSlot<FmaPeakArgs> fma_peak_slot("fma_peak");

double measure_fma_peak(Device device, double seconds) {
  using Clock = std::chrono::steady_clock;
  Kernel<FmaPeakArgs>& kernel = fma_peak_slot.on(device);
  Context& context = Context::current();
  constexpr int64_t kRound = 100000;  // some 30 µs: short enough to stop on time
  std::vector<double> rates(static_cast<size_t>(context.num_threads()));
  context.parallel_for(context.num_threads(), [&](int64_t thread) {
    const Clock::time_point begin = Clock::now();
    double flops = 0.0, elapsed = 0.0;
    while (elapsed < seconds) {
      double done = 0.0;
      kernel(context, {.iterations = kRound, .flops = &done});
      flops += done;
      elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    rates[static_cast<size_t>(thread)] = flops / elapsed;
  });
  double total = 0.0;
  for (double rate : rates) total += rate;
  return total * 1e-9;
}

std::string_view instruction_set(Device device) {
  double none = 0.0;
  std::string_view name;
  fma_peak_slot.on(device)(Context::current(), {.iterations = 0, .flops = &none, .target = &name});
  return name;
}

}  // namespace sumi
