// Compares results by relative L2 distance or byte by byte.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/tensor.h"

namespace sumi::test {

// ‖got − want‖ / ‖want‖ over all elements, in double; 0 if both are zero. Throws if the sizes differ.
inline double relative_l2(const Tensor& got, const Tensor& want) {
  if (got.numel() != want.numel()) throw std::runtime_error(got.shape().str() + " is not " + want.shape().str());
  const HostView<float> a(got), b(want);
  double difference = 0.0, norm = 0.0;
  for (int64_t i = 0; i < want.numel(); ++i) {
    difference += std::pow(double{a[i]} - b[i], 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

// Whether both hold the same bytes.
inline bool same_bytes(const Tensor& a, const Tensor& b) {
  const HostView<std::byte> x(a), y(b);
  return std::ranges::equal(x.span(), y.span());
}

}  // namespace sumi::test
