// What an optimizer does to parameters, in place.
#pragma once

#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// One step of AdamW (Loshchilov and Hutter 2019) as PyTorch computes it.
struct AdamWArgs {
  float* param;
  const float* grad;
  float *first, *second;  // running means of the gradient and of its square
  int64_t count;
  float grad_scale;  // multiplies the gradient first (clipping, accumulation)
  float decay;       // 1 - lr · weight decay
  float beta1, beta2, eps;
  float step_size;   // lr / (1 - beta1^step)
  float correction;  // sqrt(1 - beta2^step)
};
using AdamWKernel = void(const AdamWArgs& args);
extern KernelSlot<AdamWKernel> adamw_slot;

// Σ x², in double.
using SumSquaresKernel = double(const float* x, int64_t count);
extern KernelSlot<SumSquaresKernel> sum_squares_slot;

// √Σ x² over all elements of all the tensors; undefined ones count as zero.
double global_norm(const std::vector<Tensor>& tensors);

// average = decay·average + (1 - decay)·x, in place; both float32 and of one shape.
void move_average(Tensor& average, const Tensor& x, double decay);

}  // namespace sumi
