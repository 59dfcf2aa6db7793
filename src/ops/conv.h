// Two-dimensional convolution.
#pragma once

#include <string>

#include "ops/matmul.h"

namespace sumi {

struct Conv2dOptions {
  int64_t stride = 1;
  int64_t pad_begin = 0;  // rows above and columns left, zeros
  int64_t pad_end = -1;   // rows below and columns right; -1: as pad_begin
  Tensor residual = {};   // added last; the shape of the result
};

// x [N,H,W,I], weight [O,I,kh,kw], bias [O] or undefined → [N,H',W',O] with
// H' = (H + pad_begin + pad_end - kh) / stride + 1. Sums in float32; the residual and the result have the type of x.
// How it is computed is the context's choice (Context::convolutions).
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {});

// How profiles name a convolution, or a gradient of one, that turns pictures `x` into `outs` channels.
std::string conv_text(const Shape& x, int64_t outs, const Shape& weight, const Conv2dOptions& options);

struct ConvArgs {
  View x;             // [batch, in_h, in_w, in_c]
  WeightView weight;  // [out_c, in_c, kernel_h, kernel_w]
  View bias;          // [out_c] float32, or absent
  View residual;      // [batch, out_h, out_w, out_c], or absent
  MutableView out;    // [batch, out_h, out_w, out_c]
  int64_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, stride, pad;
  template <class F> void each_view(const F& f) {
    f(x);
    f(weight);
    f(bias);
    f(residual);
    f(out);
  }
};
extern KernelSlot<ConvArgs> conv2d_slot;

}  // namespace sumi
