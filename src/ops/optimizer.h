// Optimizer steps on parameters, in place. All float32.
#pragma once

#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// One step of AdamW (Loshchilov and Hutter 2019) as PyTorch computes it.
struct AdamWStep {
  float grad_scale;  // multiplies the gradient first (clipping, accumulation)
  float decay;       // 1 - lr · weight decay
  float beta1, beta2, eps;
  float step_size;   // lr / (1 - beta1^step)
  float correction;  // sqrt(1 - beta2^step)
};

// Moves the parameter, and the running means of its gradient (`first`) and of the gradient's square (`second`); all of
// one shape, on one device.
void adamw(Tensor& param, const Tensor& grad, Tensor& first, Tensor& second, const AdamWStep& step);

struct AdamWArgs {
  View grad;
  MutableView param, first, second;
  AdamWStep step;
  template <class F> void each_view(const F& f) {
    f(grad);
    f(param);
    f(first);
    f(second);
  }
};
extern KernelSlot<AdamWArgs> adamw_slot;

// Σ x², in double.
struct SumSquaresArgs {
  View x;
  MutableView out;  // [1] f64
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<SumSquaresArgs> sum_squares_slot;

// √Σ x² over all elements of all the tensors; undefined ones count as zero.
double global_norm(const std::vector<Tensor>& tensors);

// average = decay·average + (1 - decay)·x, in place; both float32 and of one shape.
void move_average(Tensor& average, const Tensor& x, double decay);

}  // namespace sumi
