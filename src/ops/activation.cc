#include "ops/activation.h"

#include <algorithm>
#include <utility>

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<ActivateArgs> activate_slot("activate");
constinit KernelSlot<GegluArgs> geglu_slot("geglu");
constinit KernelSlot<ActivateGradArgs> activate_grad_slot("activate_grad");
constinit KernelSlot<GegluGradArgs> geglu_grad_slot("geglu_grad");

Tensor activate(const Tensor& x, Act act) {
  check_activation("activate", "x", x);
  const OpScope scope("activate", x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  activate_slot(x.device(), {.x = x.view(), .out = out.mutable_view(), .act = act});
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, act](const Tensor& grad) {
      const OpScope backward("activate_grad", x);
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      activate_grad_slot(x.device(), {.x = x.view(), .dy = grad.view(), .dx = dx.mutable_view(), .act = act});
      add_grad(x, dx);
    });
  }
  return out;
}

Tensor activate(Tensor&& x, Act act) {
  if (!x.is_sole_owner() || Tape::recording({&x})) return activate(std::as_const(x), act);
  check_activation("activate", "x", x);
  const OpScope scope("activate", x);
  activate_slot(x.device(), {.x = x.view(), .out = x.mutable_view(), .act = act});
  return std::move(x);
}

Tensor geglu(const Tensor& x) {
  check_activation("geglu", "x", x);
  SUMI_CHECK(x.rank() >= 1 && x.dim(-1) % 2 == 0, "geglu: the last size of {} is odd", x.shape().str());
  Shape shape = x.shape();
  shape[-1] /= 2;
  const OpScope scope("geglu", x);
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  const int64_t channels = shape[-1], rows = shape.numel() / std::max<int64_t>(1, channels);
  geglu_slot(x.device(), {.x = x.view(), .out = out.mutable_view(), .rows = rows, .channels = channels});
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, rows, channels](const Tensor& grad) {
      const OpScope backward("geglu_grad", x);
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      geglu_grad_slot(x.device(),
                      {.x = x.view(), .dy = grad.view(), .dx = dx.mutable_view(), .rows = rows, .channels = channels});
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
