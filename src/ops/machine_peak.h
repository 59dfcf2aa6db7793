// What this machine is: how fast it could multiply and add, the limit that the benches measure against, and by which
// instructions.
#pragma once

#include <string_view>

#include "core/kernel_slot.h"

namespace sumi {

// Fused multiply-adds in registers alone, on all threads of parallel_for at once, for about `seconds`; GFLOP/s, a
// multiply-add counted as two.
double measure_fma_peak(Device device = Device::kCpu, double seconds = 0.2);

// The instruction set that kernels were chosen for, by Highway's name of it: "AVX2", "AVX3_ZEN4", "NEON". With the
// version it decides the bytes of a result.
std::string_view instruction_set(Device device = Device::kCpu);

// Runs `iterations` rounds on the calling thread and writes the floating-point operations done to `flops`.
struct FmaPeakArgs {
  int64_t iterations;
  double* flops;
  std::string_view* target = nullptr;  // where given, the instruction set's name goes there
  template <class F> void each_view(const F&) {}
};
extern KernelSlot<FmaPeakArgs> fma_peak_slot;

}  // namespace sumi
