#include "ops/max_pool.h"

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<ResampleArgs> max_pool_2x2_slot("max_pool_2x2");
constinit KernelSlot<MaxPoolGradArgs> max_pool_2x2_grad_slot("max_pool_2x2_grad");

Tensor max_pool_2x2(const Tensor& x) {
  check_activation("max_pool_2x2", "x", x);
  SUMI_CHECK(x.rank() == 4, "max_pool_2x2: {} does not have four dimensions", x.shape().str());
  const OpScope scope("max_pool_2x2", x);
  Tensor out = Tensor::empty({x.dim(0), x.dim(1) / 2, x.dim(2) / 2, x.dim(3)}, x.dtype(), x.device());
  max_pool_2x2_slot(x.device(), {.x = x.view(),
                                 .out = out.mutable_view(),
                                 .batch = x.dim(0),
                                 .in_h = x.dim(1),
                                 .in_w = x.dim(2),
                                 .out_h = out.dim(1),
                                 .out_w = out.dim(2),
                                 .channels = x.dim(3)});
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      Tensor dx = Tensor::zeros(x.shape(), DType::kF32, x.device());
      max_pool_2x2_grad_slot(x.device(), {.x = x.view(),
                                          .dy = grad.view(),
                                          .dx = dx.mutable_view(),
                                          .batch = x.dim(0),
                                          .height = x.dim(1),
                                          .width = x.dim(2),
                                          .channels = x.dim(3)});
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
