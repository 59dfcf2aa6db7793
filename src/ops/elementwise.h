// Arithmetic of tensors of one shape and of tensors with numbers. Operands have one type,
// which the result has too; every function returns a fresh tensor.
#pragma once

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// out = a·x + b·y + c, elementwise; y may be undefined (then b is not used). x and y have one shape.
Tensor affine(float a, const Tensor& x, float b, const Tensor& y, float c = 0.0f);
// out = x·y, elementwise.
Tensor mul(const Tensor& x, const Tensor& y);

inline Tensor operator+(const Tensor& x, const Tensor& y) { return affine(1.0f, x, 1.0f, y); }
inline Tensor operator-(const Tensor& x, const Tensor& y) { return affine(1.0f, x, -1.0f, y); }
inline Tensor operator*(const Tensor& x, float a) { return affine(a, x, 0.0f, {}); }
inline Tensor operator*(float a, const Tensor& x) { return affine(a, x, 0.0f, {}); }
inline Tensor operator/(const Tensor& x, float a) { return affine(1.0f / a, x, 0.0f, {}); }

// x [N,H,W,C] plus e [N,C] at every pixel.
Tensor add_per_channel(const Tensor& x, const Tensor& e);

struct AffineArgs {
  float a;
  View x;
  float b;
  View y;  // may be absent
  float c;
  MutableView out;  // may be x or y
  template <class F> void each_view(const F& f) {
    f(x);
    f(y);
    f(out);
  }
};
struct MulArgs {
  View x, y;
  MutableView out;
  template <class F> void each_view(const F& f) {
    f(x);
    f(y);
    f(out);
  }
};
struct AddPerChannelArgs {
  View x;           // [n, pixels, channels]
  View e;           // [n, channels]
  MutableView out;  // [n, pixels, channels]
  int64_t n, pixels, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(e);
    f(out);
  }
};
extern KernelSlot<AffineArgs> affine_slot;
extern KernelSlot<MulArgs> mul_slot;
extern KernelSlot<AddPerChannelArgs> add_per_channel_slot;

// x [batch, rows, channels] → [batch, channels]: sums over the rows. The gradient of a tensor added to each row;
// float32.
Tensor sum_rows(const Tensor& x, int64_t batch, int64_t channels);
struct SumRowsArgs {
  View x;
  MutableView out;
  int64_t batch, rows, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<SumRowsArgs> sum_rows_slot;

}  // namespace sumi
