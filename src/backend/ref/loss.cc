// Reference kernels: losses, summed in double in the order of their elements.
#include "ops/loss.h"

#include <cmath>

namespace sumi::backend::ref {
namespace {

double weight_of(std::span<const double> weights, int64_t sample) {
  return weights.empty() ? 1.0 : weights[static_cast<size_t>(sample)];
}

void mean_squared_error(Context&, const SquaredErrorArgs& a) {
  const int64_t row = a.x.count / a.samples;
  double total = 0.0;
  for (int64_t n = 0; n < a.samples; ++n) {
    double sum = 0.0;
    for (int64_t i = n * row; i < (n + 1) * row; ++i) {
      const double difference = double{a.x.f32()[i]} - double{a.target.f32()[i]};
      sum += difference * difference;
    }
    total += weight_of(a.weights, n) * sum;
  }
  a.out.f32()[0] = static_cast<float>(total / static_cast<double>(a.x.count));
}

void mean_squared_error_grad(Context&, const SquaredErrorGradArgs& a) {
  const int64_t row = a.x.count / a.samples;
  for (int64_t i = 0; i < a.x.count; ++i) {
    const double scale = 2.0 * weight_of(a.weights, i / row) / static_cast<double>(a.x.count) * a.dy.f32()[0];
    a.dx.f32()[i] = static_cast<float>(scale * (double{a.x.f32()[i]} - double{a.target.f32()[i]}));
  }
}

void mean_absolute_error(Context&, const AbsoluteErrorArgs& a) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.x.count; ++i) sum += std::fabs(double{a.x.f32()[i]} - a.target.f32()[i]);
  a.out.f32()[0] = static_cast<float>(sum / static_cast<double>(a.x.count));
}

void mean_absolute_error_grad(Context&, const AbsoluteErrorGradArgs& a) {
  const float scale = a.dy.f32()[0] / static_cast<float>(a.x.count);
  for (int64_t i = 0; i < a.x.count; ++i) {
    const float difference = a.x.f32()[i] - a.target.f32()[i];
    a.dx.f32()[i] = difference > 0.0f ? scale : difference < 0.0f ? -scale : 0.0f;
  }
}

void mean(Context&, const MeanArgs& a) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.x.count; ++i) sum += a.x.f32()[i];
  a.out.f32()[0] = static_cast<float>(sum / static_cast<double>(a.x.count));
}

void mean_grad(Context&, const MeanGradArgs& a) {
  const float value = a.dy.f32()[0] / static_cast<float>(a.dx.count);
  for (int64_t i = 0; i < a.dx.count; ++i) a.dx.f32()[i] = value;
}

const KernelRegistration kSquaredError(mean_squared_error_slot, Device::kRef, mean_squared_error);
const KernelRegistration kSquaredErrorGrad(mean_squared_error_grad_slot, Device::kRef, mean_squared_error_grad);
const KernelRegistration kAbsoluteError(mean_absolute_error_slot, Device::kRef, mean_absolute_error);
const KernelRegistration kAbsoluteErrorGrad(mean_absolute_error_grad_slot, Device::kRef, mean_absolute_error_grad);
const KernelRegistration kMean(mean_slot, Device::kRef, mean);
const KernelRegistration kMeanGrad(mean_grad_slot, Device::kRef, mean_grad);

}  // namespace
}  // namespace sumi::backend::ref
