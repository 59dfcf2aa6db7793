// The distance in which results are compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/tensor.h"

namespace sumi::test {

// ‖got − want‖ / ‖want‖ over all elements, in double; 0 where both are nothing. Throws where the sizes differ.
inline double relative_l2(const Tensor& got, const Tensor& want) {
  if (got.numel() != want.numel()) throw std::runtime_error(got.shape().str() + " is not " + want.shape().str());
  double difference = 0.0, norm = 0.0;
  for (int64_t i = 0; i < want.numel(); ++i) {
    difference += std::pow(double{got.data<float>()[i]} - want.data<float>()[i], 2);
    norm += std::pow(double{want.data<float>()[i]}, 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

}  // namespace sumi::test
