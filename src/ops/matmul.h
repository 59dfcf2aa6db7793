// Linear layers: products with a weight matrix in whatever type its file has.
#pragma once

#include "ops/activation.h"

namespace sumi {

// A weight as a kernel sees it: f32, f16 or bf16 elements or blocks of q8_0 or q4_0, widened while they are packed.
// Blocks do not cross from one output's values to the next.
struct WeightView {
  const void* data;
  DType dtype;
};

struct LinearOptions {
  Act act = Act::kNone;  // applied after the bias
  Tensor residual = {};  // added last; the shape of the result
};

// x [.., I] · weightᵀ + bias → [.., O]. weight [O,I] (or [O,I,1,1]), bias [O] or undefined. Computed in float32.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const LinearOptions& options = {});

// geglu(linear(x, weight, bias)): weight [2C,I], bias [2C] → [.., C]. In one kernel where the device has one, so that
// the wide result never reaches memory; otherwise the two ops.
Tensor linear_geglu(const Tensor& x, const Tensor& weight, const Tensor& bias);

struct LinearArgs {
  const float* x;         // [m, k]
  WeightView weight;      // [n, k]
  const float* bias;      // [n] or null
  const float* residual;  // [m, n] or null
  float* out;             // [m, n]
  int64_t m, n, k;
  Act act;
};
using LinearKernel = void(const LinearArgs& args);
extern KernelSlot<LinearKernel> linear_slot;
extern KernelSlot<LinearKernel> linear_geglu_slot;  // out [m, n/2]; residual and act unused

// A float32 view of a small parameter (bias, gain): itself where it is f32, else a converted copy.
Tensor as_f32(const Tensor& param);

// The view of a weight; throws Error(kData) for a type that cannot be computed with.
WeightView weight_view(const Tensor& weight);

}  // namespace sumi
