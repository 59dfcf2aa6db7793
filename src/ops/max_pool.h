#pragma once

#include "core/tensor.h"

namespace sumi {

// [N,H,W,C] → [N,H/2,W/2,C], the largest of 2x2 pixels; an odd last row or column is left out.
Tensor max_pool_2x2(const Tensor& x);

}  // namespace sumi
