#include "ops/max_pool.h"

#include <algorithm>
#include <array>

#include "base/parallel.h"
#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

// Calls f(at, out) for each element of the result: `at` has the positions in x that it comes from.
template <class F> void for_windows(const Shape& x, const F& f) {
  const int64_t height = x[1] / 2, width = x[2] / 2, channels = x[3];
  parallel_for(x[0] * height, [&](int64_t row) {
    const int64_t first = (row / height * x[1] + row % height * 2) * x[2] * channels;
    for (int64_t i = 0; i < width * channels; ++i) {
      const int64_t a = first + i / channels * 2 * channels + i % channels, below = x[2] * channels;
      f(std::array<int64_t, 4>{a, a + channels, a + below, a + below + channels}, row * width * channels + i);
    }
  });
}

}  // namespace

Tensor max_pool_2x2(const Tensor& x) {
  check_f32("max_pool_2x2", "x", x);
  check_host("max_pool_2x2", x);
  SUMI_CHECK(x.rank() == 4, "max_pool_2x2: {} has not four dimensions", x.shape().str());
  const OpScope scope("max_pool_2x2", x);
  Tensor out = Tensor::empty({x.dim(0), x.dim(1) / 2, x.dim(2) / 2, x.dim(3)}, DType::kF32, x.device());
  const float* from = x.data<float>();
  float* to = out.data<float>();
  for_windows(x.shape(), [&](const std::array<int64_t, 4>& at, int64_t i) {
    to[i] = std::max(std::max(from[at[0]], from[at[1]]), std::max(from[at[2]], from[at[3]]));
  });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      Tensor dx = Tensor::zeros(x.shape(), DType::kF32, x.device());
      for_windows(x.shape(), [&](const std::array<int64_t, 4>& at, int64_t i) {
        int64_t best = at[0];
        for (const int64_t candidate : at) {
          if (x.data<float>()[candidate] > x.data<float>()[best]) best = candidate;
        }
        dx.data<float>()[best] = grad.data<float>()[i];
      });
      add_grad(x, dx);
    });
  }
  return out;
}

}  // namespace sumi
