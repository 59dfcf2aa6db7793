// The activation whose slope below zero is learned.
#pragma once

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// x where it is positive, else slope·x, with a slope for each channel: x [.., C], slope [C] (f32, f16 or bf16) → the
// shape and type of x. Has no gradient (Error(kInternal) where a tape records). (He et al. 2015)
Tensor prelu(const Tensor& x, const Tensor& slope);

struct PreluArgs {
  View x;      // [rows, channels]
  View slope;  // [channels] float32
  MutableView out;
  int64_t rows, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(slope);
    f(out);
  }
};
extern KernelSlot<PreluArgs> prelu_slot;

}  // namespace sumi
