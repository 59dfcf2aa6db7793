// Arithmetic of tensors of one shape and of tensors with numbers. All float32; every function returns a fresh tensor.
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

using AffineKernel = void(float a, const float* x, float b, const float* y, float c, float* out, int64_t count);
using MulKernel = void(const float* x, const float* y, float* out, int64_t count);
using AddPerChannelKernel = void(const float* x, const float* e, float* out, int64_t n, int64_t pixels,
                                 int64_t channels);
extern KernelSlot<AffineKernel> affine_slot;
extern KernelSlot<MulKernel> mul_slot;
extern KernelSlot<AddPerChannelKernel> add_per_channel_slot;

// x [batch, rows, channels] → [batch, channels]: sums over the rows. The gradient of whatever was added to each row.
Tensor sum_rows(const Tensor& x, int64_t batch, int64_t channels);
using SumRowsKernel = void(const float* x, float* out, int64_t batch, int64_t rows, int64_t channels);
extern KernelSlot<SumRowsKernel> sum_rows_slot;

}  // namespace sumi
