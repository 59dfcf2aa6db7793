#include "ops/loss.h"

#include <algorithm>

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

Tensor mean_squared_error(const Tensor& x, const Tensor& target, const std::vector<double>& weights) {
  check_f32("mean_squared_error", "x", x);
  check_f32("mean_squared_error", "target", target);
  SUMI_CHECK(x.shape() == target.shape() && x.rank() >= 1 && x.numel() > 0,
             "mean_squared_error: {} and {} are no two batches of one shape", x.shape().str(), target.shape().str());
  SUMI_CHECK(weights.empty() || static_cast<int64_t>(weights.size()) == x.dim(0),
             "mean_squared_error: {} weights for {} samples", weights.size(), x.dim(0));
  SUMI_CHECK_KIND(kUnavailable, is_host(x.device()), "op mean_squared_error is not available on the backend {}",
                  name_of(x.device()));
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

}  // namespace sumi
