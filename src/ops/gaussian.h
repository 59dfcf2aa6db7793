// Diagonal normal distributions, as the autoencoder's encoder gives them.
//
// Moments are [N,h,w,2z] float32: means, then logarithms of variances, which are cut to [-30, 20] as the original does.
#pragma once

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

inline constexpr double kLeastLogvar = -30.0, kMostLogvar = 20.0;

// mean + noise·e^(logvar/2), noise [N,h,w,z]; the gradient reaches the moments.        (Kingma and Welling 2014)
Tensor sample_gaussian(const Tensor& moments, const Tensor& noise);

// The divergence from the standard normal distribution, ½ Σ (mean² + variance - 1 - logvar), of a sample on average:
// [1].
Tensor kl_divergence(const Tensor& moments);

struct SampleGaussianArgs {
  View moments, noise;
  MutableView out;
  int64_t z;  // channels of the noise
  template <class F> void each_view(const F& f) {
    f(moments);
    f(noise);
    f(out);
  }
};
struct SampleGaussianGradArgs {
  View moments, noise, dy;
  MutableView dmoments;
  int64_t z;
  template <class F> void each_view(const F& f) {
    f(moments);
    f(noise);
    f(dy);
    f(dmoments);
  }
};
struct KlDivergenceArgs {
  View moments;
  MutableView out;  // [1]
  int64_t samples, z;
  template <class F> void each_view(const F& f) {
    f(moments);
    f(out);
  }
};
struct KlDivergenceGradArgs {
  View moments, dy;  // dy [1]
  MutableView dmoments;
  int64_t samples, z;
  template <class F> void each_view(const F& f) {
    f(moments);
    f(dy);
    f(dmoments);
  }
};
extern KernelSlot<SampleGaussianArgs> sample_gaussian_slot;
extern KernelSlot<SampleGaussianGradArgs> sample_gaussian_grad_slot;
extern KernelSlot<KlDivergenceArgs> kl_divergence_slot;
extern KernelSlot<KlDivergenceGradArgs> kl_divergence_grad_slot;

}  // namespace sumi
