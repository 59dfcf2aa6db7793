#include "ops/optimizer.h"

#include <cmath>

#include "ops/elementwise.h"
#include "ops/op_check.h"

namespace sumi {

constinit KernelSlot<AdamWKernel> adamw_slot("adamw");
constinit KernelSlot<SumSquaresKernel> sum_squares_slot("sum_squares");

double global_norm(const std::vector<Tensor>& tensors) {
  double sum = 0.0;
  for (const Tensor& x : tensors) {
    if (!x) continue;
    check_f32("global_norm", "x", x);
    sum += sum_squares_slot.on(x.device())(x.data<float>(), x.numel());
  }
  return std::sqrt(sum);
}

void move_average(Tensor& average, const Tensor& x, double decay) {
  check_f32("move_average", "average", average);
  check_f32("move_average", "x", x);
  SUMI_CHECK(average.shape() == x.shape(), "move_average: the shapes {} and {} differ", average.shape().str(),
             x.shape().str());
  const float rest = static_cast<float>(1.0 - decay);
  affine_slot.on(common_device("move_average", {&average, &x}))(
      1.0f - rest, average.data<float>(), rest, x.data<float>(), 0.0f, average.data<float>(), x.numel());
}

}  // namespace sumi
