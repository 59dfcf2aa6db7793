// Rows of unit length.
#pragma once

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// x [.., C] float32: each row divided by its length, √Σ x² + eps. (Zhang et al. 2018, LPIPS)
Tensor unit_rows(const Tensor& x, double eps = 1e-10);

struct UnitRowsArgs {
  View x;
  MutableView out;
  int64_t rows, channels;
  double eps;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
struct UnitRowsGradArgs {
  View x, dy;
  MutableView dx;
  int64_t rows, channels;
  double eps;
  template <class F> void each_view(const F& f) {
    f(x);
    f(dy);
    f(dx);
  }
};
extern KernelSlot<UnitRowsArgs> unit_rows_slot;
extern KernelSlot<UnitRowsGradArgs> unit_rows_grad_slot;

}  // namespace sumi
