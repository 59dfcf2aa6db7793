#include "ops/elementwise.h"

#include <algorithm>

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<AffineArgs> affine_slot("affine");
constinit KernelSlot<MulArgs> mul_slot("mul");
constinit KernelSlot<AddPerChannelArgs> add_per_channel_slot("add_per_channel");
constinit KernelSlot<SumRowsArgs> sum_rows_slot("sum_rows");

Tensor affine(float a, const Tensor& x, float b, const Tensor& y, float c) {
  check_activation("affine", "x", x);
  check_same_type("affine", "y", x, y);
  SUMI_CHECK(!y || x.shape() == y.shape(), "affine: the shapes {} and {} differ", x.shape().str(), y.shape().str());
  const Device device = common_device("affine", {&x, &y});
  const OpScope scope("affine", x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), device);
  affine_slot(device, {.a = a, .x = x.view(), .b = b, .y = y.view(), .c = c, .out = out.mutable_view()});
  if (Tape* tape = Tape::recording({&x, &y})) {
    tape->record(out, [a, x, b, y](const Tensor& grad) {
      if (x.requires_grad()) add_grad(x, a == 1.0f ? grad : grad * a);
      if (y.requires_grad()) add_grad(y, b == 1.0f ? grad : grad * b);
    });
  }
  return out;
}

Tensor mul(const Tensor& x, const Tensor& y) {
  check_activation("mul", "x", x);
  check_activation("mul", "y", y);
  check_same_type("mul", "y", x, y);
  SUMI_CHECK(x.shape() == y.shape(), "mul: the shapes {} and {} differ", x.shape().str(), y.shape().str());
  const Device device = common_device("mul", {&x, &y});
  const OpScope scope("mul", x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), device);
  mul_slot(device, {.x = x.view(), .y = y.view(), .out = out.mutable_view()});
  if (Tape* tape = Tape::recording({&x, &y})) {
    tape->record(out, [x, y](const Tensor& grad) {
      if (x.requires_grad()) add_grad(x, mul(grad, y));
      if (y.requires_grad()) add_grad(y, mul(grad, x));
    });
  }
  return out;
}

Tensor add_per_channel(const Tensor& x, const Tensor& e) {
  check_activation("add_per_channel", "x", x);
  check_activation("add_per_channel", "e", e);
  check_same_type("add_per_channel", "e", x, e);
  SUMI_CHECK(x.rank() == 4 && e.rank() == 2 && x.dim(0) == e.dim(0) && x.dim(3) == e.dim(1),
             "add_per_channel: {} does not fit {}", e.shape().str(), x.shape().str());
  const Device device = common_device("add_per_channel", {&x, &e});
  const OpScope scope("add_per_channel", x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), device);
  add_per_channel_slot(device, {.x = x.view(),
                                .e = e.view(),
                                .out = out.mutable_view(),
                                .n = x.dim(0),
                                .pixels = x.dim(1) * x.dim(2),
                                .channels = x.dim(3)});
  if (Tape* tape = Tape::recording({&x, &e})) {
    tape->record(out, [x, e](const Tensor& grad) {
      add_grad(x, grad);
      if (e.requires_grad()) add_grad(e, sum_rows(grad, e.dim(0), e.dim(1)));
    });
  }
  return out;
}

Tensor sum_rows(const Tensor& x, int64_t batch, int64_t channels) {
  check_f32("sum_rows", "x", x);
  const OpScope scope("sum_rows", x);
  Tensor out = Tensor::empty({batch, channels}, DType::kF32, x.device());
  sum_rows_slot(x.device(), {.x = x.view(),
                             .out = out.mutable_view(),
                             .batch = batch,
                             .rows = x.numel() / std::max<int64_t>(1, batch * channels),
                             .channels = channels});
  return out;
}

}  // namespace sumi
