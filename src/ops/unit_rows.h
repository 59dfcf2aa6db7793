#pragma once

#include "core/tensor.h"

namespace sumi {

// x [.., C]: each row divided by its length, √Σ x² + eps. (Zhang et al. 2018, LPIPS)
Tensor unit_rows(const Tensor& x, double eps = 1e-10);

}  // namespace sumi
