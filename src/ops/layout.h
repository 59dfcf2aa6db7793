// Rearrangements: NCHW ↔ NHWC, concatenation, nearest-neighbour doubling, type casts.
#pragma once

#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// [N,C,H,W] → [N,H,W,C], any element type.
Tensor nchw_to_nhwc(const Tensor& x);
// [N,H,W,C] → [N,C,H,W], any element type.
Tensor nhwc_to_nchw(const Tensor& x);
// x [.., Cx] and y [.., Cy] → [.., Cx+Cy]; all other sizes equal; float32.
Tensor concat_channels(const Tensor& x, const Tensor& y);
// Channels [begin, end) of x [.., C].
Tensor slice_channels(const Tensor& x, int64_t begin, int64_t end);
// Rows [top, bottom) and columns [left, right) of pictures x [N,H,W,C].
Tensor crop(const Tensor& x, int64_t top, int64_t bottom, int64_t left, int64_t right);
// Every so many pixels of pictures x [N,H,W,C], so that [N,height,width,C] are left.
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
// even), q8_0, q4_0 (blocks of 32 consecutive values: Error(kData) where they do not come out even).
Tensor cast(const Tensor& x, DType dtype);

}  // namespace sumi
