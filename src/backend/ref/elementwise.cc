// Reference kernels: elementwise arithmetic and activations, in double.
#include <algorithm>
#include <cmath>

#include "ops/activation.h"
#include "ops/elementwise.h"

namespace sumi::backend::ref {
namespace {

double apply(double x, Act act) {
  switch (act) {
    case Act::kNone: return x;
    case Act::kSilu: return x / (1.0 + std::exp(-x));
    case Act::kGelu: return 0.5 * x * (1.0 + std::erf(x * M_SQRT1_2));
    case Act::kQuickGelu: return x / (1.0 + std::exp(-1.702 * x));
    case Act::kRelu: return std::max(x, 0.0);
    case Act::kLeakyRelu: return std::max(x, 0.2 * x);
  }
  return x;
}

void affine(float a, const float* x, float b, const float* y, float c, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(double{a} * x[i] + (y ? double{b} * y[i] : 0.0) + c);
  }
}

void mul(const float* x, const float* y, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = x[i] * y[i];
}

void add_per_channel(const float* x, const float* e, float* out, int64_t n, int64_t pixels, int64_t channels) {
  for (int64_t i = 0; i < n * pixels; ++i) {
    for (int64_t c = 0; c < channels; ++c) out[i * channels + c] = x[i * channels + c] + e[i / pixels * channels + c];
  }
}

void activate(const float* x, float* out, int64_t count, Act act) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(apply(x[i], act));
}

void geglu(const float* x, float* out, int64_t rows, int64_t channels) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* value = x + row * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) {
      out[row * channels + c] = static_cast<float>(value[c] * apply(value[channels + c], Act::kGelu));
    }
  }
}

const KernelRegistration kAffine(affine_slot, Device::kRef, affine);
const KernelRegistration kMul(mul_slot, Device::kRef, mul);
const KernelRegistration kAddPerChannel(add_per_channel_slot, Device::kRef, add_per_channel);
const KernelRegistration kActivate(activate_slot, Device::kRef, activate);
const KernelRegistration kGeglu(geglu_slot, Device::kRef, geglu);

}  // namespace
}  // namespace sumi::backend::ref
