// Activation functions. Results have the type of x; shapes are kept unless noted.
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
  kTanh,
};

// act(x), elementwise.
Tensor activate(const Tensor& x, Act act);
Tensor activate(Tensor&& x, Act act);  // in x's own memory where no other tensor shares it and no tape records
inline Tensor silu(const Tensor& x) { return activate(x, Act::kSilu); }

// x [.., 2C] → [.., C]: first half times GELU of the second half (Shazeer 2020; LDM `GEGLU`).
Tensor geglu(const Tensor& x);

struct ActivateArgs {
  View x;
  MutableView out;  // may be x itself
  Act act;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<ActivateArgs> activate_slot;

struct GegluArgs {
  View x;           // [rows, 2·channels]
  MutableView out;  // [rows, channels]
  int64_t rows, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<GegluArgs> geglu_slot;

// Their gradients: dx = dy·act'(x), and for geglu that of both halves. All float32.
struct ActivateGradArgs {
  View x, dy;
  MutableView dx;
  Act act;
  template <class F> void each_view(const F& f) {
    f(x);
    f(dy);
    f(dx);
  }
};
extern KernelSlot<ActivateGradArgs> activate_grad_slot;

struct GegluGradArgs {
  View x, dy;      // [rows, 2·channels], [rows, channels]
  MutableView dx;  // [rows, 2·channels]
  int64_t rows, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(dy);
    f(dx);
  }
};
extern KernelSlot<GegluGradArgs> geglu_grad_slot;

}  // namespace sumi
