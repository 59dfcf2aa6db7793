// Linear layers: products with a weight matrix in whatever type its file has.
#pragma once

#include "ops/activation.h"

namespace sumi {

// A change of a weight by a product of low rank, computed beside it: W + scale·up·down. f32, f16 or bf16.
// (Hu et al. 2021)
struct LowRank {
  Tensor down;  // [R,I], or [R,I,1,1]; of a convolution [R,I,kh,kw]
  Tensor up;    // [O,R], or [O,R,1,1]
  float scale = 1.0f;

  explicit operator bool() const { return down.defined(); }
  int64_t rank() const { return down ? down.dim(0) : 0; }
};

struct LinearOptions {
  Act act = Act::kNone;  // applied after the bias
  Tensor residual = {};  // added last; the shape of the result
  LowRank change = {};   // of the weight; undefined: none
};

// x [.., I] · (weight + change)ᵀ + bias → [.., O]. weight [O,I] (or [O,I,1,1]), bias [O] or undefined. Sums in
// float32; the residual and the result have the type of x. A change is multiplied within the kernel of the weight,
// unless something in it or in a recorded operand requires a gradient: then the products are ops of their own.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const LinearOptions& options = {});

// geglu(linear(x, weight, bias)): weight [2C,I], bias [2C] → [.., C]. In one kernel where the device has one, so that
// the wide result never reaches memory; otherwise the two ops. `change` is of the weight, as in LinearOptions.
Tensor linear_geglu(const Tensor& x, const Tensor& weight, const Tensor& bias, const LowRank& change = {});

struct LinearArgs {
  View x;             // [m, k]
  WeightView weight;  // [n, k]
  View bias;          // [n] float32, or absent
  View residual;      // [m, n], or absent
  MutableView out;    // [m, n]
  int64_t m, n, k;
  Act act;
  // The change of the weight; rank 0: none.
  WeightView down = {};  // [rank, k], not quantised
  WeightView up = {};    // [n, rank], not quantised
  MutableView low = {};  // [m, rank] float32: memory for scale·x·downᵀ, undefined before and after
  int64_t rank = 0;
  float scale = 1.0f;
  template <class F> void each_view(const F& f) {
    f(x);
    f(weight);
    f(bias);
    f(residual);
    f(out);
    f(down);
    f(up);
    f(low);
  }
};
extern KernelSlot<LinearArgs> linear_slot;
extern KernelSlot<LinearArgs> linear_geglu_slot;  // out [m, n/2]; residual and act unused

// A float32 view of a small parameter (bias, gain): itself where it is f32, else a converted copy.
Tensor as_f32(const Tensor& param);

// The view of a weight; throws Error(kData) for an unsupported type.
WeightView weight_view(const Tensor& weight);

}  // namespace sumi
