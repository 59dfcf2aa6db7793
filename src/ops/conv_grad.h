// Gradients of convolutions and linear layers, which are 1x1 convolutions of a picture of one row. All float32.
#pragma once

#include "ops/conv.h"

namespace sumi {

// The gradient of x, of `shape` [N,H,W,I], from dy [N,H',W',O], the gradient of conv2d(x, weight, …): a convolution of
// dy, its pixels spread by the stride, with the weight flipped. Computed by the forward kernels.
Tensor conv2d_grad_input(const Tensor& dy, const Tensor& weight, const Shape& shape, const Conv2dOptions& options);

// The gradient of the weight, of `shape` [O,I,kh,kw], from x [N,H,W,I] and dy [N,H',W',O].
Tensor conv2d_grad_weight(const Tensor& x, const Tensor& dy, const Shape& shape, const Conv2dOptions& options);

// dy [.., O] and weight [O,I] → gradient of x [.., I].
Tensor linear_grad_input(const Tensor& dy, const Tensor& weight);
// x [.., I] and dy [.., O] → gradient of the weight [O,I].
Tensor linear_grad_weight(const Tensor& x, const Tensor& dy);

// All float32.
struct ConvGradWeightArgs {
  View x;               // [batch, in_h, in_w, in_c]
  View dy;              // [batch, out_h, out_w, out_c]
  MutableView dweight;  // [out_c, in_c, kernel_h, kernel_w]
  int64_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, stride, pad;
  template <class F> void each_view(const F& f) {
    f(x);
    f(dy);
    f(dweight);
  }
};
extern KernelSlot<ConvGradWeightArgs> conv2d_grad_weight_slot;

// weight [outs, ins, taps] → out [ins, outs, taps], the taps in reverse. float32.
struct TurnWeightArgs {
  View weight;
  MutableView out;
  int64_t outs, ins, taps;
  template <class F> void each_view(const F& f) {
    f(weight);
    f(out);
  }
};
extern KernelSlot<TurnWeightArgs> turn_weight_slot;

}  // namespace sumi
