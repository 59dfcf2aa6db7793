#include "ops/optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<AdamWArgs> adamw_slot("adamw");
constinit KernelSlot<SumSquaresArgs> sum_squares_slot("sum_squares");

void adamw(Tensor& param, const Tensor& grad, Tensor& first, Tensor& second, const AdamWStep& step) {
  for (const Tensor* x : std::initializer_list<const Tensor*>{&grad, &first, &second}) {
    check_f32("adamw", "each tensor", *x);
    SUMI_CHECK_KIND(kInternal, x->numel() == param.numel(), "adamw: {} for a parameter {}", x->shape().str(),
                    param.shape().str());
  }
  check_f32("adamw", "the parameter", param);
  const Device device = common_device("adamw", {&param, &grad, &first, &second});
  const OpScope scope("adamw", param);
  adamw_slot(device, {.grad = grad.view(),
                      .param = param.mutable_view(),
                      .first = first.mutable_view(),
                      .second = second.mutable_view(),
                      .step = step});
}

double global_norm(const std::vector<Tensor>& tensors) {
  const auto first = std::find_if(tensors.begin(), tensors.end(), [](const Tensor& x) { return x.defined(); });
  if (first == tensors.end()) return 0.0;
  // One number a tensor, on the device; downloaded together.
  Tensor sums = Tensor::zeros({static_cast<int64_t>(tensors.size())}, DType::kF64, first->device());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i]) continue;
    check_f32("global_norm", "x", tensors[i]);
    common_device("global_norm", {&*first, &tensors[i]});
    const auto at = static_cast<int64_t>(i);
    sum_squares_slot(sums.device(), {.x = tensors[i].view(), .out = sums.rows(at, at + 1).mutable_view()});
  }
  double sum = 0.0;
  for (const double part : sums.host<double>()) sum += part;
  return std::sqrt(sum);
}

void move_average(Tensor& average, const Tensor& x, double decay) {
  check_f32("move_average", "average", average);
  check_f32("move_average", "x", x);
  SUMI_CHECK(average.shape() == x.shape(), "move_average: the shapes {} and {} differ", average.shape().str(),
             x.shape().str());
  const float rest = static_cast<float>(1.0 - decay);
  affine_slot(
      common_device("move_average", {&average, &x}),
      {.a = 1.0f - rest, .x = average.view(), .b = rest, .y = x.view(), .c = 0.0f, .out = average.mutable_view()});
}

}  // namespace sumi
