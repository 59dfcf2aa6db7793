// Reference kernels: elementwise arithmetic and activations, in double.
#include "ops/elementwise.h"

#include <algorithm>
#include <cmath>

#include "backend/ref/act.h"
#include "backend/ref/typed.h"
#include "ops/activation.h"

namespace sumi::backend::ref {
namespace {

void affine(Context&, const AffineArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const In<T> x(a.x), y(a.y);
    const Out<T> out(a.out);
    for (int64_t i = 0; i < a.x.count; ++i) out.set(i, double{a.a} * x[i] + (y ? double{a.b} * y[i] : 0.0) + a.c);
  });
}

void mul(Context&, const MulArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const In<T> x(a.x), y(a.y);
    const Out<T> out(a.out);
    for (int64_t i = 0; i < a.x.count; ++i) out.set(i, x[i] * y[i]);
  });
}

void add_per_channel(Context&, const AddPerChannelArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const In<T> x(a.x), e(a.e);
    const Out<T> out(a.out);
    for (int64_t i = 0; i < a.n * a.pixels; ++i) {
      for (int64_t c = 0; c < a.channels; ++c)
        out.set(i * a.channels + c, x[i * a.channels + c] + e[i / a.pixels * a.channels + c]);
    }
  });
}

void activate(Context&, const ActivateArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const In<T> x(a.x);
    const Out<T> out(a.out);
    for (int64_t i = 0; i < a.x.count; ++i) out.set(i, act(x[i], a.act));
  });
}

void geglu(Context&, const GegluArgs& a) {
  with_activation_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const Out<T> out(a.out);
    for (int64_t row = 0; row < a.rows; ++row) {
      const In<T> value(a.x, row * 2 * a.channels);
      for (int64_t c = 0; c < a.channels; ++c)
        out.set(row * a.channels + c, value[c] * act(value[a.channels + c], Act::kGelu));
    }
  });
}

const KernelRegistration kAffine(affine_slot, Device::kRef, affine);
const KernelRegistration kMul(mul_slot, Device::kRef, mul);
const KernelRegistration kAddPerChannel(add_per_channel_slot, Device::kRef, add_per_channel);
const KernelRegistration kActivate(activate_slot, Device::kRef, activate);
const KernelRegistration kGeglu(geglu_slot, Device::kRef, geglu);

}  // namespace
}  // namespace sumi::backend::ref
