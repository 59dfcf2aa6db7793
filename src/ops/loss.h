// What training makes small.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace sumi {

// Σ_n weight_n · mean((x_n - target_n)²) / N over the samples n of x [N, ..]; no weights: all 1. Summed in double.
// Returns [1].
Tensor mean_squared_error(const Tensor& x, const Tensor& target, const std::vector<double>& weights = {});

}  // namespace sumi
