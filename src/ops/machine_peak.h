// How fast this machine could multiply and add: the limit that the benches measure against.
#pragma once

#include "core/kernel_slot.h"

namespace sumi {

// Fused multiply-adds in registers alone, on all threads of parallel_for at once, for about `seconds`; GFLOP/s, a
// multiply-add counted as two.
double measure_fma_peak(Device device = Device::kCpu, double seconds = 0.2);

// Runs `iterations` rounds on the calling thread and writes the floating-point operations done to `flops`.
struct FmaPeakArgs {
  int64_t iterations;
  double* flops;
  template <class F> void each_view(const F&) {}
};
extern KernelSlot<FmaPeakArgs> fma_peak_slot;

}  // namespace sumi
