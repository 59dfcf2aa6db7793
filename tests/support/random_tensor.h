// Random inputs for numeric tests.
#pragma once

#include <random>

#include "core/tensor.h"

namespace sumi::test {

// Values that differ from call to call, the same in every run.
inline Tensor random(const Shape& shape, float scale = 1.0f, float offset = 0.0f) {
  static std::mt19937 engine(1);
  std::normal_distribution<float> normal(offset, scale);
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  for (float& value : values.span()) value = normal(engine);
  return out;
}

}  // namespace sumi::test
