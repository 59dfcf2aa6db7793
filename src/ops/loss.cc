#include "ops/loss.h"

#include <cmath>

#include "core/autograd.h"
#include "ops/elementwise.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

void check_pair(const char* op, const Tensor& x, const Tensor& target) {
  check_f32(op, "x", x);
  check_f32(op, "target", target);
  SUMI_CHECK(x.shape() == target.shape() && x.rank() >= 1 && x.numel() > 0,
             "{}: {} and {} are no two batches of one shape", op, x.shape().str(), target.shape().str());
  check_host(op, x);
}

}  // namespace

Tensor mean_squared_error(const Tensor& x, const Tensor& target, const std::vector<double>& weights) {
  check_pair("mean_squared_error", x, target);
  SUMI_CHECK(weights.empty() || static_cast<int64_t>(weights.size()) == x.dim(0),
             "mean_squared_error: {} weights for {} samples", weights.size(), x.dim(0));
  const OpScope scope("mean_squared_error", x);
  const int64_t row = x.numel() / x.dim(0);
  const auto weight_of = [weights](int64_t n) { return weights.empty() ? 1.0 : weights[static_cast<size_t>(n)]; };
  double total = 0.0;
  for (int64_t n = 0; n < x.dim(0); ++n) {
    double sum = 0.0;
    for (int64_t i = n * row; i < (n + 1) * row; ++i) {
      const double difference = double{x.data<float>()[i]} - double{target.data<float>()[i]};
      sum += difference * difference;
    }
    total += weight_of(n) * sum;
  }
  Tensor out = Tensor::full({1}, static_cast<float>(total / static_cast<double>(x.numel())), x.device());
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, target, row, weight_of](const Tensor& grad) {
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      for (int64_t i = 0; i < x.numel(); ++i) {
        const double scale = 2.0 * weight_of(i / row) / static_cast<double>(x.numel()) * grad.data<float>()[0];
        dx.data<float>()[i] =
            static_cast<float>(scale * (double{x.data<float>()[i]} - double{target.data<float>()[i]}));
      }
      add_grad(x, dx);
    });
  }
  return out;
}

Tensor mean_absolute_error(const Tensor& x, const Tensor& target) {
  check_pair("mean_absolute_error", x, target);
  const OpScope scope("mean_absolute_error", x);
  double sum = 0.0;
  for (int64_t i = 0; i < x.numel(); ++i) sum += std::fabs(double{x.data<float>()[i]} - target.data<float>()[i]);
  Tensor out = Tensor::full({1}, static_cast<float>(sum / static_cast<double>(x.numel())), x.device());
  if (Tape* tape = Tape::recording({&x, &target})) {
    tape->record(out, [x, target](const Tensor& grad) {
      const float scale = grad.data<float>()[0] / static_cast<float>(x.numel());
      Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
      for (int64_t i = 0; i < x.numel(); ++i) {
        const float difference = x.data<float>()[i] - target.data<float>()[i];
        dx.data<float>()[i] = difference > 0.0f ? scale : difference < 0.0f ? -scale : 0.0f;
      }
      add_grad(x, dx);
      if (target.requires_grad()) add_grad(target, dx * -1.0f);
    });
  }
  return out;
}

Tensor mean(const Tensor& x) {
  check_f32("mean", "x", x);
  check_host("mean", x);
  SUMI_CHECK(x.numel() > 0, "mean: {} has no elements", x.shape().str());
  const OpScope scope("mean", x);
  double sum = 0.0;
  for (const float value : x.span<float>()) sum += value;
  Tensor out = Tensor::full({1}, static_cast<float>(sum / static_cast<double>(x.numel())), x.device());
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      add_grad(x, Tensor::full(x.shape(), grad.data<float>()[0] / static_cast<float>(x.numel()), x.device()));
    });
  }
  return out;
}

}  // namespace sumi
