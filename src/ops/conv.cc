#include "ops/conv.h"

#include <fmt/format.h>

#include "core/autograd.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<ConvArgs> conv2d_slot("conv2d");

std::string conv_text(const Shape& x, int64_t outs, const Shape& weight, const Conv2dOptions& options) {
  return fmt::format("{}x{}x{}x{} → {}, {}x{}{}", x[0], x[1], x[2], x[3], outs, weight[2], weight[3],
                     options.stride > 1 ? fmt::format(" /{}", options.stride) : "");
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  check_activation("conv2d", "x", x);
  check_same_type("conv2d", "the residual", x, options.residual);
  SUMI_CHECK(x.rank() == 4 && weight.rank() == 4, "conv2d: x {} and weight {} must have four dimensions",
             x.shape().str(), weight.shape().str());
  SUMI_CHECK(weight.dim(1) == x.dim(3), "conv2d: the weight {} expects {} input channels, x {} has {}",
             weight.shape().str(), weight.dim(1), x.shape().str(), x.dim(3));
  const int64_t pad_end = options.pad_end < 0 ? options.pad_begin : options.pad_end;
  const int64_t padded_h = x.dim(1) + options.pad_begin + pad_end, padded_w = x.dim(2) + options.pad_begin + pad_end;
  SUMI_CHECK(padded_h >= weight.dim(2) && padded_w >= weight.dim(3), "conv2d: x {} is smaller than the kernel {}",
             x.shape().str(), weight.shape().str());
  SUMI_CHECK(!bias || bias.numel() == weight.dim(0), "conv2d: a bias of {} values for {} outputs", bias.numel(),
             weight.dim(0));
  const Shape shape{x.dim(0), (padded_h - weight.dim(2)) / options.stride + 1,
                    (padded_w - weight.dim(3)) / options.stride + 1, weight.dim(0)};
  SUMI_CHECK(!options.residual || options.residual.shape() == shape, "conv2d: a residual {} for a result {}",
             options.residual.shape().str(), shape.str());
  const Device device = common_device("conv2d", {&x, &weight, &bias, &options.residual});
  Tensor out = Tensor::empty(shape, x.dtype(), device);
  const double flops =
      2.0 * static_cast<double>(out.numel()) * static_cast<double>(weight.dim(1) * weight.dim(2) * weight.dim(3));
  const OpScope scope("conv2d", flops, [&] { return conv_text(x.shape(), shape[3], weight.shape(), options); });
  const Tensor bias32 = as_f32(bias);
  conv2d_slot(device, {.x = x.view(),
                       .weight = weight_view(weight),
                       .bias = bias32.view(),
                       .residual = options.residual.view(),
                       .out = out.mutable_view(),
                       .batch = x.dim(0),
                       .in_h = x.dim(1),
                       .in_w = x.dim(2),
                       .in_c = x.dim(3),
                       .out_h = shape[1],
                       .out_w = shape[2],
                       .out_c = shape[3],
                       .kernel_h = weight.dim(2),
                       .kernel_w = weight.dim(3),
                       .stride = options.stride,
                       .pad = options.pad_begin});
  if (Tape* tape = Tape::recording({&x, &weight, &bias, &options.residual})) {
    tape->record(out, [x, weight, bias, options](const Tensor& grad) {
      add_grad(options.residual, grad);
      if (bias.requires_grad()) add_grad(bias, sum_rows(grad, 1, grad.dim(3)));
      if (weight.requires_grad()) add_grad(weight, conv2d_grad_weight(x, grad, weight.shape(), options));
      if (x.requires_grad()) add_grad(x, conv2d_grad_input(grad, weight, x.shape(), options));
    });
  }
  return out;
}

}  // namespace sumi
