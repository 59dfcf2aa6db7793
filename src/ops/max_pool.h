// The largest of neighbouring pixels.
#pragma once

#include "ops/layout.h"

namespace sumi {

// [N,H,W,C] → [N,H/2,W/2,C], the largest of 2x2 pixels; an odd last row or column is left out.
Tensor max_pool_2x2(const Tensor& x);
extern KernelSlot<ResampleArgs> max_pool_2x2_slot;

// Each value of dy goes to the first of the largest pixels. All float32.
struct MaxPoolGradArgs {
  View x, dy;
  MutableView dx;                          // zeros at first
  int64_t batch, height, width, channels;  // of x
  template <class F> void each_view(const F& f) {
    f(x);
    f(dy);
    f(dx);
  }
};
extern KernelSlot<MaxPoolGradArgs> max_pool_2x2_grad_slot;

}  // namespace sumi
