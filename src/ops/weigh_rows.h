// Scales the rows of a text by their weights.
#pragma once

#include <span>
#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// x [T,D] float32 with row t times weights[t], then all scaled so that the mean of all values is what it was, as A1111
// weighs the tokens of a prompt; not rescaled where the mean is 0. The means are taken in double.
Tensor weigh_rows(const Tensor& x, const std::vector<float>& weights);

struct WeighRowsArgs {
  View x;
  MutableView out;
  std::span<const float> weights;  // the host's, one a row
  int64_t rows, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<WeighRowsArgs> weigh_rows_slot;

}  // namespace sumi
