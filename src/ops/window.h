// Parts of pictures that may reach over their edges: what convolutions and tiles read where a picture repeats.
#pragma once

#include "core/tensor.h"

namespace sumi {

// In which directions a picture repeats without end, so that its first pixel follows its last.
struct Wraps {
  bool y = false, x = false;
};

// Rows [top, bottom) and columns [left, right) of pictures x [N,H,W,C], of any element type → [N,bottom-top,right-left,
// C]. Where they lie outside of x: the pixel that is there when the picture repeats, in a direction that wraps, else
// zeros. Has no gradient: throws Error(kInternal) where a tape records x.
Tensor window(const Tensor& x, int64_t top, int64_t bottom, int64_t left, int64_t right, const Wraps& wraps);

}  // namespace sumi
