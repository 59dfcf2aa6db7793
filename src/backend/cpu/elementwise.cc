// Elementwise arithmetic and activations, in chunks that several cores share; all run at memory speed.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>

#include "backend/cpu/math-inl.h"
#include "base/parallel.h"
#include "hwy/highway.h"
#include "ops/elementwise.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

void run_affine(float a, const float* x, float b, const float* y, float c, float* out, int64_t count) {
  for_chunks(count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      auto sum = hn::MulAdd(hn::Set(d, a), hn::LoadU(d, x + begin + i), hn::Set(d, c));
      if (y) sum = hn::MulAdd(hn::Set(d, b), hn::LoadU(d, y + begin + i), sum);
      hn::StoreU(sum, d, out + begin + i);
    });
  });
}

void run_multiply(const float* x, const float* y, float* out, int64_t count) {
  for_chunks(count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, x + begin + i), hn::LoadU(d, y + begin + i)), d, out + begin + i);
    });
  });
}

void run_add_per_channel(const float* x, const float* e, float* out, int64_t n, int64_t pixels, int64_t channels) {
  constexpr int64_t kPixels = 64;
  const int64_t blocks = (pixels + kPixels - 1) / kPixels;
  parallel_for(n * blocks, [&](int64_t task) HWY_ATTR {
    const float* add = e + task / blocks * channels;
    const int64_t begin = task / blocks * pixels + task % blocks * kPixels;
    const int64_t end = std::min(begin + kPixels, (task / blocks + 1) * pixels);
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      for_lanes(channels, [&](auto d, int64_t c) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, x + pixel * channels + c), hn::LoadU(d, add + c)), d,
                   out + pixel * channels + c);
      });
    }
  });
}

void run_activate(const float* x, float* out, int64_t count, Act act) {
  for_chunks(count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(apply_act(d, hn::LoadU(d, x + begin + i), act), d, out + begin + i);
    });
  });
}

void run_geglu(const float* x, float* out, int64_t rows, int64_t channels) {
  constexpr int64_t kRowsATask = 8;
  parallel_for((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task) HWY_ATTR {
    for (int64_t row = task * kRowsATask; row < std::min(rows, (task + 1) * kRowsATask); ++row) {
      const float* value = x + row * 2 * channels;
      for_lanes(channels, [&](auto d, int64_t c) HWY_ATTR {
        const auto gate = apply_act(d, hn::LoadU(d, value + channels + c), Act::kGelu);
        hn::StoreU(hn::Mul(hn::LoadU(d, value + c), gate), d, out + row * channels + c);
      });
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_affine);
HWY_EXPORT(run_multiply);
HWY_EXPORT(run_add_per_channel);
HWY_EXPORT(run_activate);
HWY_EXPORT(run_geglu);

void affine(float a, const float* x, float b, const float* y, float c, float* out, int64_t count) {
  HWY_DYNAMIC_DISPATCH(run_affine)(a, x, b, y, c, out, count);
}
void mul(const float* x, const float* y, float* out, int64_t count) {
  HWY_DYNAMIC_DISPATCH(run_multiply)(x, y, out, count);
}
void add_per_channel(const float* x, const float* e, float* out, int64_t n, int64_t pixels, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(run_add_per_channel)(x, e, out, n, pixels, channels);
}
void activate(const float* x, float* out, int64_t count, Act act) {
  HWY_DYNAMIC_DISPATCH(run_activate)(x, out, count, act);
}
void geglu(const float* x, float* out, int64_t rows, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(run_geglu)(x, out, rows, channels);
}

const KernelRegistration kAffine(affine_slot, Device::kCpu, affine);
const KernelRegistration kMul(mul_slot, Device::kCpu, mul);
const KernelRegistration kAddPerChannel(add_per_channel_slot, Device::kCpu, add_per_channel);
const KernelRegistration kActivate(activate_slot, Device::kCpu, activate);
const KernelRegistration kGeglu(geglu_slot, Device::kCpu, geglu);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
