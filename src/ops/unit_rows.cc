#include "ops/unit_rows.h"

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<UnitRowsArgs> unit_rows_slot("unit_rows");
constinit KernelSlot<UnitRowsGradArgs> unit_rows_grad_slot("unit_rows_grad");

Tensor unit_rows(const Tensor& x, double eps) {
  check_f32("unit_rows", "x", x);
  SUMI_CHECK(x.rank() >= 1 && x.numel() > 0, "unit_rows: {} has no rows", x.shape().str());
  const OpScope scope("unit_rows", x);
  const int64_t channels = x.dim(-1), rows = x.numel() / channels;
  Tensor out = Tensor::empty(x.shape(), DType::kF32, x.device());
  unit_rows_slot(x.device(),
                 {.x = x.view(), .out = out.mutable_view(), .rows = rows, .channels = channels, .eps = eps});
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, eps, channels, rows](const Tensor& grad) {
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      unit_rows_grad_slot(
          x.device(),
          {.x = x.view(), .dy = grad.view(), .dx = dx.mutable_view(), .rows = rows, .channels = channels, .eps = eps});
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
