#include "ops/conv_grad.h"

#include <algorithm>

#include "ops/layout.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<ConvGradWeightArgs> conv2d_grad_weight_slot("conv2d_grad_weight");
constinit KernelSlot<TurnWeightArgs> turn_weight_slot("turn_weight");

namespace {

// [N,H,W,C] → [N,(H-1)·s+1,(W-1)·s+1,C] with zeros between the pixels.
Tensor spread(const Tensor& x, int64_t s) {
  if (s == 1) return x;
  const int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3), out_h = (h - 1) * s + 1, out_w = (w - 1) * s + 1;
  Tensor out = Tensor::zeros({x.dim(0), out_h, out_w, c}, DType::kF32, x.device());
  strided_copy_slot(x.device(), {.from = x.view(),
                                 .to = out.mutable_view(),
                                 .sizes = {x.dim(0), h, w, c},
                                 .from_strides = {h * w * c, w * c, c},
                                 .to_strides = {out_h * out_w * c, s * out_w * c, s * c}});
  return out;
}

// [O,I,kh,kw] → [I,O,kh,kw], rows and columns of each kernel from the last to the first.
Tensor turn_around(const Tensor& weight) {
  const Tensor w = cast(weight, DType::kF32);
  const int64_t outs = w.dim(0), ins = w.dim(1), taps = w.dim(2) * w.dim(3);
  Tensor out = Tensor::empty({ins, outs, w.dim(2), w.dim(3)}, DType::kF32, w.device());
  turn_weight_slot(w.device(), {.weight = w.view(), .out = out.mutable_view(), .outs = outs, .ins = ins, .taps = taps});
  return out;
}

}  // namespace

Tensor conv2d_grad_input(const Tensor& dy, const Tensor& weight, const Shape& shape, const Conv2dOptions& options) {
  const Tensor pixels = spread(dy, options.stride);
  const int64_t kh = weight.dim(2), kw = weight.dim(3), pad = kh - 1 - options.pad_begin;
  SUMI_CHECK_KIND(kInternal, kh == kw && pad >= 0, "conv2d: no gradient for a {}x{} kernel with {} padding", kh, kw,
                  options.pad_begin);
  const Tensor turned = turn_around(weight);
  Tensor dx = Tensor::empty(shape, DType::kF32, dy.device());
  const OpScope scope("conv2d_grad_input",
                      2.0 * static_cast<double>(dy.numel()) * static_cast<double>(shape[3] * kh * kw),
                      [&] { return conv_text(dy.shape(), shape[3], weight.shape(), options); });
  // The kernel reads zeros wherever it reaches beyond the pixels, on whichever side.
  conv2d_slot(dy.device(), {.x = pixels.view(),
                            .weight = weight_view(turned),
                            .bias = {},
                            .residual = {},
                            .out = dx.mutable_view(),
                            .batch = shape[0],
                            .in_h = pixels.dim(1),
                            .in_w = pixels.dim(2),
                            .in_c = pixels.dim(3),
                            .out_h = shape[1],
                            .out_w = shape[2],
                            .out_c = shape[3],
                            .kernel_h = kh,
                            .kernel_w = kw,
                            .stride = 1,
                            .pad = pad});
  return dx;
}

Tensor conv2d_grad_weight(const Tensor& x, const Tensor& dy, const Shape& shape, const Conv2dOptions& options) {
  Tensor dweight = Tensor::empty(shape, DType::kF32, x.device());
  const OpScope scope("conv2d_grad_weight",
                      2.0 * static_cast<double>(dy.numel()) * static_cast<double>(shape[1] * shape[2] * shape[3]),
                      [&] { return conv_text(x.shape(), shape[0], shape, options); });
  conv2d_grad_weight_slot(x.device(), {.x = x.view(),
                                       .dy = dy.view(),
                                       .dweight = dweight.mutable_view(),
                                       .batch = x.dim(0),
                                       .in_h = x.dim(1),
                                       .in_w = x.dim(2),
                                       .in_c = x.dim(3),
                                       .out_h = dy.dim(1),
                                       .out_w = dy.dim(2),
                                       .out_c = dy.dim(3),
                                       .kernel_h = shape[2],
                                       .kernel_w = shape[3],
                                       .stride = options.stride,
                                       .pad = options.pad_begin});
  return dweight;
}

Tensor linear_grad_input(const Tensor& dy, const Tensor& weight) {
  const int64_t outs = weight.dim(0), ins = weight.dim(1);
  const Tensor turned = turn_around(weight.detach().reshape({outs, ins, 1, 1}));
  return linear(dy, turned.reshape({ins, outs}), {});
}

Tensor linear_grad_weight(const Tensor& x, const Tensor& dy) {
  const int64_t ins = x.dim(-1), outs = dy.dim(-1), rows = x.numel() / std::max<int64_t>(1, ins);
  return conv2d_grad_weight(x.detach().reshape({1, 1, rows, ins}), dy.reshape({1, 1, rows, outs}), {outs, ins, 1, 1},
                            {})
      .reshape({outs, ins});
}

}  // namespace sumi
