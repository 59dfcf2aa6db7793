#include "ops/unit_rows.h"

#include <cmath>

#include "base/parallel.h"
#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

double length_of(const float* row, int64_t channels) {
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) sum += double{row[c]} * row[c];
  return std::sqrt(sum);
}

}  // namespace

Tensor unit_rows(const Tensor& x, double eps) {
  check_f32("unit_rows", "x", x);
  check_host("unit_rows", x);
  SUMI_CHECK(x.rank() >= 1 && x.numel() > 0, "unit_rows: {} has no rows", x.shape().str());
  const OpScope scope("unit_rows", x);
  const int64_t channels = x.dim(-1), rows = x.numel() / channels;
  Tensor out = Tensor::empty(x.shape(), DType::kF32, x.device());
  parallel_for(rows, [&](int64_t row) {
    const float* from = x.data<float>() + row * channels;
    const auto scale = static_cast<float>(1.0 / (length_of(from, channels) + eps));
    for (int64_t c = 0; c < channels; ++c) out.data<float>()[row * channels + c] = from[c] * scale;
  });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, eps, channels, rows](const Tensor& grad) {
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      // y = x/(l + eps): dx = (dy - x·(x·dy)/(l·(l + eps)))/(l + eps); at l = 0 the second part is none
      parallel_for(rows, [&](int64_t row) {
        const float *from = x.data<float>() + row * channels, *pull = grad.data<float>() + row * channels;
        const double length = length_of(from, channels), scale = 1.0 / (length + eps);
        double along = 0.0;
        for (int64_t c = 0; c < channels; ++c) along += double{from[c]} * pull[c];
        const double back = length > 0.0 ? along * scale / length : 0.0;
        for (int64_t c = 0; c < channels; ++c)
          dx.data<float>()[row * channels + c] = static_cast<float>(scale * (pull[c] - back * from[c]));
      });
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
