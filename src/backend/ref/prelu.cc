// Reference kernel of the activation with learned slopes.
#include "ops/prelu.h"

#include <algorithm>

#include "backend/ref/typed.h"

namespace sumi::backend::ref {
namespace {

// A task has some 16 thousand values, so that this serves as the processor's kernel too.
void prelu(Context& context, const PreluArgs& a) {
  const int64_t rows = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, a.channels));
  context.parallel_for((a.rows + rows - 1) / rows, [&](int64_t task) {
    with_activation_type(a.x.dtype, [&](auto type) {
      using T = decltype(type);
      const In<T> x(a.x);
      const In<float> slope(a.slope);
      const Out<T> out(a.out);
      for (int64_t row = task * rows; row < std::min(a.rows, (task + 1) * rows); ++row) {
        for (int64_t c = 0; c < a.channels; ++c) {
          const double value = x[row * a.channels + c];
          out.set(row * a.channels + c, std::max(value, 0.0) + slope[c] * std::min(value, 0.0));
        }
      }
    });
  });
}

const KernelRegistration kPrelu(prelu_slot, Device::kRef, prelu);

}  // namespace
}  // namespace sumi::backend::ref
