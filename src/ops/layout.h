// Rearrangements: NCHW ↔ NHWC, concatenation, cutting out, nearest-neighbour doubling, type casts. Ops that only move
// elements take any type.
#pragma once

#include <array>
#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// [N,C,H,W] → [N,H,W,C], any element type.
Tensor nchw_to_nhwc(const Tensor& x);
// [N,H,W,C] → [N,C,H,W], any element type.
Tensor nhwc_to_nchw(const Tensor& x);
// x [.., Cx] and y [.., Cy] → [.., Cx+Cy]; all other sizes and the types equal.
Tensor concat_channels(const Tensor& x, const Tensor& y);
// Channels [begin, end) of x [.., C].
Tensor slice_channels(const Tensor& x, int64_t begin, int64_t end);
// Rows [top, bottom) and columns [left, right) of pictures x [N,H,W,C].
Tensor crop(const Tensor& x, int64_t top, int64_t bottom, int64_t left, int64_t right);
// Pixels of pictures x [N,H,W,C] at regular distances → [N,height,width,C].
Tensor pick_pixels(const Tensor& x, int64_t height, int64_t width);
// Writes pictures `part` [N,h,w,C] into `whole` [N,H,W,C], the first pixel at row `top` and column `left`.
void paste(const Tensor& part, Tensor& whole, int64_t top, int64_t left);
// Concatenation along the first dimension; types and other sizes equal.
Tensor concat_rows(const std::vector<Tensor>& parts);
// [N,H,W,C] → [N,2H,2W,C], each pixel four times; a height or width given cuts a last row or column off.
Tensor upsample_nearest_2x(const Tensor& x, int64_t out_height = -1, int64_t out_width = -1);
// [N,H,W,C] → [N,H/2,W/2,C], means of 2x2 pixels; an odd last row or column is left out.
Tensor mean_pool_2x2(const Tensor& x);
// [N,2H,2W,C] → [N,H,W,C], sums of 2x2 pixels; sides may be odd by a missing last row or column. The gradient of
// upsample_nearest_2x.
Tensor sum_pool_2x2(const Tensor& x);
// x in another type: to float32 from f16, bf16, f64, q8_0, q4_0; from float32 to f16, bf16 (round to nearest
// even), q8_0, q4_0 (blocks of 32 consecutive values: Error(kData) if the last one is not whole).
Tensor cast(const Tensor& x, DType dtype);

// Moves a block of elements: element (i, j, k, l) of `sizes` goes from Σ index·from_stride to Σ index·to_stride. The
// last dimension is contiguous on both sides. Serves concatenation, slices, crops, pasting and spreading.
struct StridedCopyArgs {
  View from;
  MutableView to;
  std::array<int64_t, 4> sizes;                     // outermost first
  std::array<int64_t, 3> from_strides, to_strides;  // elements; the innermost stride is 1
  template <class F> void each_view(const F& f) {
    f(from);
    f(to);
  }
};
extern KernelSlot<StridedCopyArgs> strided_copy_slot;

// out[n, j, i] = x[n, i, j] for matrices of rows × columns.
struct TransposeArgs {
  View x;
  MutableView out;
  int64_t batch, rows, columns;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<TransposeArgs> transpose_slot;

// From pictures x [batch, in_h, in_w, channels] to pictures [batch, out_h, out_w, channels].
struct ResampleArgs {
  View x;
  MutableView out;
  int64_t batch, in_h, in_w, out_h, out_w, channels;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<ResampleArgs> pick_pixels_slot;
extern KernelSlot<ResampleArgs> upsample_nearest_2x_slot;
extern KernelSlot<ResampleArgs> mean_pool_2x2_slot;
extern KernelSlot<ResampleArgs> sum_pool_2x2_slot;

struct CastArgs {
  View x;
  MutableView out;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
extern KernelSlot<CastArgs> cast_slot;

}  // namespace sumi
