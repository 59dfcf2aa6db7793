// What training makes small. Sums are taken in double; every function returns [1].
#pragma once

#include <vector>

#include "core/tensor.h"

namespace sumi {

// Σ_n weight_n · mean((x_n - target_n)²) / N over the samples n of x [N, ..]; no weights: all 1.
Tensor mean_squared_error(const Tensor& x, const Tensor& target, const std::vector<double>& weights = {});
// mean(|x - target|); at equality the gradient is 0.
Tensor mean_absolute_error(const Tensor& x, const Tensor& target);
// mean(x)
Tensor mean(const Tensor& x);

}  // namespace sumi
