#include "ops/activation.h"

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<ActivateKernel> activate_slot("activate");
constinit KernelSlot<GegluKernel> geglu_slot("geglu");
constinit KernelSlot<ActivateGradKernel> activate_grad_slot("activate_grad");
constinit KernelSlot<GegluGradKernel> geglu_grad_slot("geglu_grad");

Tensor activate(const Tensor& x, Act act) {
  check_f32("activate", "x", x);
  const OpScope scope("activate", x);
  Tensor out = Tensor::empty(x.shape(), DType::kF32, x.device());
  activate_slot.on(x.device())(x.data<float>(), out.data<float>(), x.numel(), act);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, act](const Tensor& grad) {
      const OpScope backward("activate_grad", x);
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      activate_grad_slot.on(x.device())(x.data<float>(), grad.data<float>(), dx.data<float>(), x.numel(), act);
      add_grad(x, dx);
    });
  }
  return out;
}

Tensor geglu(const Tensor& x) {
  check_f32("geglu", "x", x);
  SUMI_CHECK(x.rank() >= 1 && x.dim(-1) % 2 == 0, "geglu: the last size of {} is odd", x.shape().str());
  Shape shape = x.shape();
  shape[-1] /= 2;
  const OpScope scope("geglu", x);
  Tensor out = Tensor::empty(shape, DType::kF32, x.device());
  geglu_slot.on(x.device())(x.data<float>(), out.data<float>(), shape.numel() / shape[-1], shape[-1]);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      const OpScope backward("geglu_grad", x);
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      const int64_t channels = grad.dim(-1);
      geglu_grad_slot.on(x.device())(x.data<float>(), grad.data<float>(), dx.data<float>(), grad.numel() / channels,
                                     channels);
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
