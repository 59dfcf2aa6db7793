// Losses for training. Operands are float32, sums are taken in double; every function returns [1].
#pragma once

#include <span>
#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// Σ_n weight_n · mean((x_n - target_n)²) / N over the samples n of x [N, ..]; no weights: all 1.
Tensor mean_squared_error(const Tensor& x, const Tensor& target, const std::vector<double>& weights = {});
// mean(|x - target|); at equality the gradient is 0.
Tensor mean_absolute_error(const Tensor& x, const Tensor& target);
// mean(x)
Tensor mean(const Tensor& x);

struct SquaredErrorArgs {
  View x, target;
  MutableView out;                  // [1]
  std::span<const double> weights;  // the host's, one a sample; none: all 1
  int64_t samples;
  template <class F> void each_view(const F& f) {
    f(x);
    f(target);
    f(out);
  }
};
struct SquaredErrorGradArgs {
  View x, target, dy;  // dy [1]
  MutableView dx;
  std::span<const double> weights;
  int64_t samples;
  template <class F> void each_view(const F& f) {
    f(x);
    f(target);
    f(dy);
    f(dx);
  }
};
struct AbsoluteErrorArgs {
  View x, target;
  MutableView out;
  template <class F> void each_view(const F& f) {
    f(x);
    f(target);
    f(out);
  }
};
struct AbsoluteErrorGradArgs {
  View x, target, dy;
  MutableView dx;
  template <class F> void each_view(const F& f) {
    f(x);
    f(target);
    f(dy);
    f(dx);
  }
};
struct MeanArgs {
  View x;
  MutableView out;
  template <class F> void each_view(const F& f) {
    f(x);
    f(out);
  }
};
// dx = dy/n everywhere.
struct MeanGradArgs {
  View dy;
  MutableView dx;
  template <class F> void each_view(const F& f) {
    f(dy);
    f(dx);
  }
};
extern KernelSlot<SquaredErrorArgs> mean_squared_error_slot;
extern KernelSlot<SquaredErrorGradArgs> mean_squared_error_grad_slot;
extern KernelSlot<AbsoluteErrorArgs> mean_absolute_error_slot;
extern KernelSlot<AbsoluteErrorGradArgs> mean_absolute_error_grad_slot;
extern KernelSlot<MeanArgs> mean_slot;
extern KernelSlot<MeanGradArgs> mean_grad_slot;

}  // namespace sumi
