#include "diffusion/guidance.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::diffusion {

Predictor guided(Predictor both, double scale) {
  return [both = std::move(both), scale](const Tensor& x, double timestep) {
    const Tensor output = both(concat_rows({x, x}), timestep);
    const int64_t batch = x.dim(0);
    return affine(static_cast<float>(1.0 - scale), output.rows(0, batch), static_cast<float>(scale),
                  output.rows(batch, 2 * batch));
  };
}

}  // namespace sumi::diffusion
