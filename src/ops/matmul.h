// Linear layers: products with a weight matrix in whatever type its file has.
#pragma once

#include "ops/activation.h"

namespace sumi {

struct LinearOptions {
  Act act = Act::kNone;  // applied after the bias
  Tensor residual = {};  // added last; the shape of the result
};

// x [.., I] · weightᵀ + bias → [.., O]. weight [O,I] (or [O,I,1,1]), bias [O] or undefined. Sums in
// float32; the residual and the result have the type of x.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const LinearOptions& options = {});

// geglu(linear(x, weight, bias)): weight [2C,I], bias [2C] → [.., C]. In one kernel where the device has one, so that
// the wide result never reaches memory; otherwise the two ops.
Tensor linear_geglu(const Tensor& x, const Tensor& weight, const Tensor& bias);

struct LinearArgs {
  View x;             // [m, k]
  WeightView weight;  // [n, k]
  View bias;          // [n] float32, or absent
  View residual;      // [m, n], or absent
  MutableView out;    // [m, n]
  int64_t m, n, k;
  Act act;
  template <class F> void each_view(const F& f) {
    f(x);
    f(weight);
    f(bias);
    f(residual);
    f(out);
  }
};
extern KernelSlot<LinearArgs> linear_slot;
extern KernelSlot<LinearArgs> linear_geglu_slot;  // out [m, n/2]; residual and act unused

// A float32 view of a small parameter (bias, gain): itself where it is f32, else a converted copy.
Tensor as_f32(const Tensor& param);

// The view of a weight; throws Error(kData) for an unsupported type.
WeightView weight_view(const Tensor& weight);

}  // namespace sumi
