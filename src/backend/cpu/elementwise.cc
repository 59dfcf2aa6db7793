// Elementwise arithmetic and activations, in chunks that several cores share; all run at memory speed.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>

#include "backend/cpu/f32_only.h"
#include "backend/cpu/math-inl.h"
#include "hwy/highway.h"
#include "ops/elementwise.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

void run_affine(const Context& context, const AffineArgs& args) {
  const float *x = args.x.f32(), *y = args.y.f32(), a = args.a, b = args.b, c = args.c;
  float* out = args.out.f32();
  for_chunks(context, args.out.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      auto sum = hn::MulAdd(hn::Set(d, a), hn::LoadU(d, x + begin + i), hn::Set(d, c));
      if (y) sum = hn::MulAdd(hn::Set(d, b), hn::LoadU(d, y + begin + i), sum);
      hn::StoreU(sum, d, out + begin + i);
    });
  });
}

void run_multiply(const Context& context, const MulArgs& args) {
  const float *x = args.x.f32(), *y = args.y.f32();
  float* out = args.out.f32();
  for_chunks(context, args.out.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, x + begin + i), hn::LoadU(d, y + begin + i)), d, out + begin + i);
    });
  });
}

void run_add_per_channel(const Context& context, const AddPerChannelArgs& args) {
  constexpr int64_t kPixels = 64;
  const float *x = args.x.f32(), *e = args.e.f32();
  float* out = args.out.f32();
  const int64_t pixels = args.pixels, channels = args.channels, blocks = (pixels + kPixels - 1) / kPixels;
  context.parallel_for(args.n * blocks, [&](int64_t task) HWY_ATTR {
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

void run_activate(const Context& context, const ActivateArgs& args) {
  const float* x = args.x.f32();
  float* out = args.out.f32();
  const Act act = args.act;
  for_chunks(context, args.out.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(apply_act(d, hn::LoadU(d, x + begin + i), act), d, out + begin + i);
    });
  });
}

void run_geglu(const Context& context, const GegluArgs& args) {
  constexpr int64_t kRowsATask = 8;
  const float* x = args.x.f32();
  float* out = args.out.f32();
  const int64_t rows = args.rows, channels = args.channels;
  context.parallel_for((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task) HWY_ATTR {
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

void affine(Context& context, const AffineArgs& args) { HWY_DYNAMIC_DISPATCH(run_affine)(context, args); }
void mul(Context& context, const MulArgs& args) { HWY_DYNAMIC_DISPATCH(run_multiply)(context, args); }
void add_per_channel(Context& context, const AddPerChannelArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_add_per_channel)(context, args);
}
void activate(Context& context, const ActivateArgs& args) { HWY_DYNAMIC_DISPATCH(run_activate)(context, args); }
void geglu(Context& context, const GegluArgs& args) { HWY_DYNAMIC_DISPATCH(run_geglu)(context, args); }

const KernelRegistration kAffine(affine_slot, Device::kCpu, f32_only<AffineArgs, affine>);
const KernelRegistration kMul(mul_slot, Device::kCpu, f32_only<MulArgs, mul>);
const KernelRegistration kAddPerChannel(add_per_channel_slot, Device::kCpu,
                                        f32_only<AddPerChannelArgs, add_per_channel>);
const KernelRegistration kActivate(activate_slot, Device::kCpu, f32_only<ActivateArgs, activate>);
const KernelRegistration kGeglu(geglu_slot, Device::kCpu, f32_only<GegluArgs, geglu>);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
