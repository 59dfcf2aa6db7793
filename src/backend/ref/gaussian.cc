// Reference kernels: samples of diagonal normal distributions and their divergence, in double.
#include "ops/gaussian.h"

#include <algorithm>
#include <cmath>

namespace sumi::backend::ref {
namespace {

struct Moment {
  double mean, logvar;
  bool cut;  // then logvar has no gradient
};

// Calls f(i, at, moment) for the i-th value, whose mean is moments[at] and whose log-variance moments[at + z].
template <class F> void for_moments(const View& moments, int64_t z, const F& f) {
  const float* values = moments.f32();
  for (int64_t i = 0; i < moments.count / 2; ++i) {
    const int64_t at = i / z * 2 * z + i % z;
    const double logvar = values[at + z];
    f(i, at,
      Moment{values[at], std::clamp(logvar, kLeastLogvar, kMostLogvar), logvar < kLeastLogvar || logvar > kMostLogvar});
  }
}

void sample_gaussian(Context&, const SampleGaussianArgs& a) {
  for_moments(a.moments, a.z, [&](int64_t i, int64_t, const Moment& m) {
    a.out.f32()[i] = static_cast<float>(m.mean + std::exp(0.5 * m.logvar) * a.noise.f32()[i]);
  });
}

void sample_gaussian_grad(Context&, const SampleGaussianGradArgs& a) {
  float* d = a.dmoments.f32();
  for_moments(a.moments, a.z, [&](int64_t i, int64_t at, const Moment& m) {
    const double pull = a.dy.f32()[i];
    d[at] = static_cast<float>(pull);
    d[at + a.z] = m.cut ? 0.0f : static_cast<float>(0.5 * pull * std::exp(0.5 * m.logvar) * a.noise.f32()[i]);
  });
}

void kl_divergence(Context&, const KlDivergenceArgs& a) {
  double sum = 0.0;
  for_moments(a.moments, a.z, [&](int64_t, int64_t, const Moment& m) {
    sum += 0.5 * (m.mean * m.mean + std::exp(m.logvar) - 1.0 - m.logvar);
  });
  a.out.f32()[0] = static_cast<float>(sum / static_cast<double>(a.samples));
}

void kl_divergence_grad(Context&, const KlDivergenceGradArgs& a) {
  float* d = a.dmoments.f32();
  const double scale = a.dy.f32()[0] / static_cast<double>(a.samples);
  for_moments(a.moments, a.z, [&](int64_t, int64_t at, const Moment& m) {
    d[at] = static_cast<float>(scale * m.mean);
    d[at + a.z] = m.cut ? 0.0f : static_cast<float>(0.5 * scale * (std::exp(m.logvar) - 1.0));
  });
}

const KernelRegistration kSample(sample_gaussian_slot, Device::kRef, sample_gaussian);
const KernelRegistration kSampleGrad(sample_gaussian_grad_slot, Device::kRef, sample_gaussian_grad);
const KernelRegistration kDivergence(kl_divergence_slot, Device::kRef, kl_divergence);
const KernelRegistration kDivergenceGrad(kl_divergence_grad_slot, Device::kRef, kl_divergence_grad);

}  // namespace
}  // namespace sumi::backend::ref
