// Checks that ops share: types and devices of their inputs.
#pragma once

#include <initializer_list>
#include <string_view>

#include "base/check.h"
#include "core/tensor.h"

namespace sumi {

// All defined tensors of `inputs` are on the device of the first; returns it.
inline Device common_device(std::string_view op, std::initializer_list<const Tensor*> inputs) {
  const Device device = (*inputs.begin())->device();
  for (const Tensor* input : inputs) {
    SUMI_CHECK_KIND(kInternal, !input->defined() || input->device() == device,
                    "{}: one input is on the backend {}, another on {}", op, name_of(device), name_of(input->device()));
  }
  return device;
}

// x is defined and of a type that activations have; returns it.
inline DType check_activation(std::string_view op, std::string_view what, const Tensor& x) {
  SUMI_CHECK_KIND(kInternal, x.defined() && is_activation_type(x.dtype()), "{}: {} must be f32, f16 or bf16, not {}",
                  op, what, x.defined() ? name_of(x.dtype()) : "absent");
  return x.dtype();
}

// y is of x's type, or undefined.
inline void check_same_type(std::string_view op, std::string_view what, const Tensor& x, const Tensor& y) {
  SUMI_CHECK_KIND(kInternal, !y || y.dtype() == x.dtype(),
                  "{}: x is {} and {} is {}; the activations of a run have one type, so cast one of them", op,
                  name_of(x.dtype()), what, name_of(y.dtype()));
}

// For ops that are computed only in float32: gradients, losses, optimizers.
inline void check_f32(std::string_view op, std::string_view what, const Tensor& x) {
  SUMI_CHECK_KIND(kInternal, x.defined() && x.dtype() == DType::kF32, "{}: {} must be f32, not {}", op, what,
                  x.defined() ? name_of(x.dtype()) : "absent");
}

}  // namespace sumi
