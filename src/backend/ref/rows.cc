// Reference kernels: rows of unit length, and rows times their weights.
#include <cmath>

#include "ops/unit_rows.h"
#include "ops/weigh_rows.h"

namespace sumi::backend::ref {
namespace {

double length_of(const float* row, int64_t channels) {
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) sum += double{row[c]} * row[c];
  return std::sqrt(sum);
}

void unit_rows(Context& context, const UnitRowsArgs& a) {
  const float* x = a.x.f32();
  float* out = a.out.f32();
  context.parallel_for(a.rows, [&](int64_t row) {
    const float* from = x + row * a.channels;
    const auto scale = static_cast<float>(1.0 / (length_of(from, a.channels) + a.eps));
    for (int64_t c = 0; c < a.channels; ++c) out[row * a.channels + c] = from[c] * scale;
  });
}

// y = x/(l + eps): dx = (dy - x·(x·dy)/(l·(l + eps)))/(l + eps); at l = 0 the second part is 0
void unit_rows_grad(Context& context, const UnitRowsGradArgs& a) {
  context.parallel_for(a.rows, [&](int64_t row) {
    const float *from = a.x.f32() + row * a.channels, *pull = a.dy.f32() + row * a.channels;
    const double length = length_of(from, a.channels), scale = 1.0 / (length + a.eps);
    double along = 0.0;
    for (int64_t c = 0; c < a.channels; ++c) along += double{from[c]} * pull[c];
    const double back = length > 0.0 ? along * scale / length : 0.0;
    for (int64_t c = 0; c < a.channels; ++c)
      a.dx.f32()[row * a.channels + c] = static_cast<float>(scale * (pull[c] - back * from[c]));
  });
}

double mean_of(const float* values, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum / static_cast<double>(count);
}

void weigh_rows(Context&, const WeighRowsArgs& a) {
  const float* x = a.x.f32();
  float* out = a.out.f32();
  const double before = mean_of(x, a.x.count);
  for (int64_t i = 0; i < a.x.count; ++i) out[i] = x[i] * a.weights[static_cast<size_t>(i / a.channels)];
  const double ratio = before / mean_of(out, a.x.count);
  if (!std::isfinite(ratio)) return;  // a mean of exactly 0 cannot be restored
  for (int64_t i = 0; i < a.x.count; ++i) out[i] = static_cast<float>(out[i] * ratio);
}

const KernelRegistration kUnitRows(unit_rows_slot, Device::kRef, unit_rows);
const KernelRegistration kUnitRowsGrad(unit_rows_grad_slot, Device::kRef, unit_rows_grad);
const KernelRegistration kWeighRows(weigh_rows_slot, Device::kRef, weigh_rows);

}  // namespace
}  // namespace sumi::backend::ref
