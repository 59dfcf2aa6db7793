#include "ops/activation.h"

#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<ActivateKernel> activate_slot("activate");
constinit KernelSlot<GegluKernel> geglu_slot("geglu");

Tensor activate(const Tensor& x, Act act) {
  check_f32("activate", "x", x);
  const OpScope scope("activate", x);
  Tensor out = Tensor::empty(x.shape(), DType::kF32, x.device());
  activate_slot.on(x.device())(x.data<float>(), out.data<float>(), x.numel(), act);
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
  return out;
}

}  // namespace sumi
