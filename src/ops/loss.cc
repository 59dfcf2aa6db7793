#include "ops/loss.h"

#include "core/autograd.h"
#include "ops/elementwise.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<SquaredErrorArgs> mean_squared_error_slot("mean_squared_error");
constinit KernelSlot<SquaredErrorGradArgs> mean_squared_error_grad_slot("mean_squared_error_grad");
constinit KernelSlot<AbsoluteErrorArgs> mean_absolute_error_slot("mean_absolute_error");
constinit KernelSlot<AbsoluteErrorGradArgs> mean_absolute_error_grad_slot("mean_absolute_error_grad");
constinit KernelSlot<MeanArgs> mean_slot("mean");
constinit KernelSlot<MeanGradArgs> mean_grad_slot("mean_grad");

namespace {

void check_pair(const char* op, const Tensor& x, const Tensor& target) {
  check_f32(op, "x", x);
  check_f32(op, "target", target);
  SUMI_CHECK(x.shape() == target.shape() && x.rank() >= 1 && x.numel() > 0,
             "{}: {} and {} must be batches of one shape", op, x.shape().str(), target.shape().str());
  common_device(op, {&x, &target});
}

}  // namespace

Tensor mean_squared_error(const Tensor& x, const Tensor& target, const std::vector<double>& weights) {
  check_pair("mean_squared_error", x, target);
  SUMI_CHECK(weights.empty() || static_cast<int64_t>(weights.size()) == x.dim(0),
             "mean_squared_error: {} weights for {} samples", weights.size(), x.dim(0));
  const OpScope scope("mean_squared_error", x);
  Tensor out = Tensor::empty({1}, DType::kF32, x.device());
  mean_squared_error_slot(
      x.device(),
      {.x = x.view(), .target = target.view(), .out = out.mutable_view(), .weights = weights, .samples = x.dim(0)});
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, target, weights](const Tensor& grad) {
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      mean_squared_error_grad_slot(x.device(), {.x = x.view(),
                                                .target = target.view(),
                                                .dy = grad.view(),
                                                .dx = dx.mutable_view(),
                                                .weights = weights,
                                                .samples = x.dim(0)});
      add_grad(x, dx);
    });
  }
  return out;
}

Tensor mean_absolute_error(const Tensor& x, const Tensor& target) {
  check_pair("mean_absolute_error", x, target);
  const OpScope scope("mean_absolute_error", x);
  Tensor out = Tensor::empty({1}, DType::kF32, x.device());
  mean_absolute_error_slot(x.device(), {.x = x.view(), .target = target.view(), .out = out.mutable_view()});
  if (Tape* tape = Tape::recording({&x, &target})) {
    tape->record(out, [x, target](const Tensor& grad) {
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      mean_absolute_error_grad_slot(
          x.device(), {.x = x.view(), .target = target.view(), .dy = grad.view(), .dx = dx.mutable_view()});
      add_grad(x, dx);
      if (target.requires_grad()) add_grad(target, dx * -1.0f);
    });
  }
  return out;
}

Tensor mean(const Tensor& x) {
  check_f32("mean", "x", x);
  SUMI_CHECK(x.numel() > 0, "mean: {} has no elements", x.shape().str());
  const OpScope scope("mean", x);
  Tensor out = Tensor::empty({1}, DType::kF32, x.device());
  mean_slot(x.device(), {.x = x.view(), .out = out.mutable_view()});
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      mean_grad_slot(x.device(), {.dy = grad.view(), .dx = dx.mutable_view()});
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
