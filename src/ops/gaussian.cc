#include "ops/gaussian.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

struct Moment {
  double mean, logvar;
  bool cut;  // then logvar has no gradient
};

// Calls f(i, at, moment) for the i-th value, whose mean is moments[at] and whose log-variance moments[at + z].
template <class F> void for_moments(const Tensor& moments, const F& f) {
  const int64_t z = moments.dim(-1) / 2;
  for (int64_t i = 0; i < moments.numel() / 2; ++i) {
    const int64_t at = i / z * 2 * z + i % z;
    const double logvar = moments.data<float>()[at + z];
    f(i, at,
      Moment{moments.data<float>()[at], std::clamp(logvar, kLeastLogvar, kMostLogvar),
             logvar < kLeastLogvar || logvar > kMostLogvar});
  }
}

void check_moments(const char* op, const Tensor& moments) {
  check_f32(op, "moments", moments);
  check_host(op, moments);
  SUMI_CHECK(moments.rank() == 4 && moments.dim(3) % 2 == 0 && moments.dim(0) > 0,
             "{}: {} are no means and log-variances", op, moments.shape().str());
}

}  // namespace

Tensor sample_gaussian(const Tensor& moments, const Tensor& noise) {
  check_moments("sample_gaussian", moments);
  check_f32("sample_gaussian", "noise", noise);
  Shape shape = moments.shape();
  shape[-1] /= 2;
  SUMI_CHECK(noise.shape() == shape, "sample_gaussian: moments {} need noise {}, not {}", moments.shape().str(),
             shape.str(), noise.shape().str());
  const OpScope scope("sample_gaussian", moments);
  Tensor out = Tensor::empty(shape, DType::kF32, moments.device());
  for_moments(moments, [&](int64_t i, int64_t, const Moment& m) {
    out.data<float>()[i] = static_cast<float>(m.mean + std::exp(0.5 * m.logvar) * noise.data<float>()[i]);
  });
  if (Tape* tape = Tape::recording({&moments})) {
    tape->record(out, [moments, noise](const Tensor& grad) {
      Tensor d = Tensor::empty(moments.shape(), DType::kF32, moments.device());
      const int64_t z = moments.dim(3) / 2;
      for_moments(moments, [&](int64_t i, int64_t at, const Moment& m) {
        const double pull = grad.data<float>()[i];
        d.data<float>()[at] = static_cast<float>(pull);
        d.data<float>()[at + z] =
            m.cut ? 0.0f : static_cast<float>(0.5 * pull * std::exp(0.5 * m.logvar) * noise.data<float>()[i]);
      });
      add_grad(moments, d);
    });
  }
  return out;
}

Tensor kl_divergence(const Tensor& moments) {
  check_moments("kl_divergence", moments);
  const OpScope scope("kl_divergence", moments);
  double sum = 0.0;
  for_moments(moments, [&](int64_t, int64_t, const Moment& m) {
    sum += 0.5 * (m.mean * m.mean + std::exp(m.logvar) - 1.0 - m.logvar);
  });
  const auto samples = static_cast<double>(moments.dim(0));
  Tensor out = Tensor::full({1}, static_cast<float>(sum / samples), moments.device());
  if (Tape* tape = Tape::recording({&moments})) {
    tape->record(out, [moments, samples](const Tensor& grad) {
      Tensor d = Tensor::empty(moments.shape(), DType::kF32, moments.device());
      const int64_t z = moments.dim(3) / 2;
      const double scale = grad.data<float>()[0] / samples;
      for_moments(moments, [&](int64_t, int64_t at, const Moment& m) {
        d.data<float>()[at] = static_cast<float>(scale * m.mean);
        d.data<float>()[at + z] = m.cut ? 0.0f : static_cast<float>(0.5 * scale * (std::exp(m.logvar) - 1.0));
      });
      add_grad(moments, d);
    });
  }
  return out;
}

}  // namespace sumi
