// The machine's own multiply-add peak: 12 independent chains of vectors, enough to cover the latency of 4-5 cycles at
// two a cycle.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fma_peak.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include "hwy/highway.h"
#include "ops/machine_peak.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double run_fma_peak(int64_t iterations) {
  constexpr int kChains = 12;
  const hn::CappedTag<float, 16> d;
  const auto x = hn::Set(d, 0.9999f), y = hn::Set(d, 1e-4f);
  hn::Vec<decltype(d)> sum[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) sum[i] = hn::Set(d, static_cast<float>(i));
  for (int64_t k = 0; k < iterations; ++k) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) sum[i] = hn::MulAdd(sum[i], x, y);
  }
  auto total = hn::Zero(d);
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) total = hn::Add(total, sum[i]);
  // The sum is used, so that no compiler leaves the work out; it is far too small to change the count.
  const double used = hn::GetLane(hn::SumOfLanes(d, total)) > 1e30f ? 1.0 : 0.0;
  return static_cast<double>(iterations) * kChains * static_cast<double>(hn::Lanes(d)) * 2.0 + used;
}

const char* name_target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_fma_peak);
HWY_EXPORT(name_target);

void fma_peak(Context&, const FmaPeakArgs& args) {
  *args.flops = HWY_DYNAMIC_DISPATCH(run_fma_peak)(args.iterations);
  if (args.target != nullptr) *args.target = HWY_DYNAMIC_DISPATCH(name_target)();
}

const KernelRegistration kFmaPeak(fma_peak_slot, Device::kCpu, fma_peak);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
