// Activation functions. All float32; shapes are kept unless said.
#pragma once

#include <string_view>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

enum class Act : unsigned char {
  kNone,
  kSilu,       // x·σ(x)
  kGelu,       // x·Φ(x), exact (erf)
  kQuickGelu,  // x·σ(1.702x), as CLIP has it
  kRelu,       // max(x, 0)
  kLeakyRelu,  // x, or 0.2x where that is negative, as patch discriminators have it
};

// act(x), elementwise.
Tensor activate(const Tensor& x, Act act);
inline Tensor silu(const Tensor& x) { return activate(x, Act::kSilu); }

// x [.., 2C] → [.., C]: first half times GELU of the second half (Shazeer 2020; LDM `GEGLU`).
Tensor geglu(const Tensor& x);

using ActivateKernel = void(const float* x, float* out, int64_t count, Act act);
using GegluKernel = void(const float* x, float* out, int64_t rows, int64_t channels);
extern KernelSlot<ActivateKernel> activate_slot;
extern KernelSlot<GegluKernel> geglu_slot;

// Their gradients: dx = dy·act'(x), and the two halves' of geglu.
using ActivateGradKernel = void(const float* x, const float* dy, float* dx, int64_t count, Act act);
using GegluGradKernel = void(const float* x, const float* dy, float* dx, int64_t rows, int64_t channels);
extern KernelSlot<ActivateGradKernel> activate_grad_slot;
extern KernelSlot<GegluGradKernel> geglu_grad_slot;

}  // namespace sumi
