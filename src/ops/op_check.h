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

inline void check_f32(std::string_view op, std::string_view what, const Tensor& x) {
  SUMI_CHECK_KIND(kInternal, x.defined() && x.dtype() == DType::kF32, "{}: {} must be f32, not {}", op, what,
                  x.defined() ? name_of(x.dtype()) : "absent");
}

// For ops that are one loop for all host backends.
inline void check_host(std::string_view op, const Tensor& x) {
  SUMI_CHECK_KIND(kUnavailable, is_host(x.device()), "op {} is not available on the backend {}", op,
                  name_of(x.device()));
}

}  // namespace sumi
