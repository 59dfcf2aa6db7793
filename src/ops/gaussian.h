// Diagonal normal distributions, as the autoencoder's encoder gives them.
//
// Moments are [N,h,w,2z]: means, then logarithms of variances, which are cut to [-30, 20] as the original does.
#pragma once

#include "core/tensor.h"

namespace sumi {

inline constexpr double kLeastLogvar = -30.0, kMostLogvar = 20.0;

// mean + noise·e^(logvar/2), noise [N,h,w,z]; the gradient reaches the moments.        (Kingma and Welling 2014)
Tensor sample_gaussian(const Tensor& moments, const Tensor& noise);

// The divergence from the standard normal distribution, ½ Σ (mean² + variance - 1 - logvar), of a sample on average:
// [1].
Tensor kl_divergence(const Tensor& moments);

}  // namespace sumi
