// Random inputs for numeric tests.
#pragma once

#include <random>

#include "core/tensor.h"

namespace sumi::test {

inline std::mt19937& random_engine() {
  static std::mt19937 engine(1);
  return engine;
}

// The values that follow are those of a fresh program, whichever tests ran before.
inline void restart_random() { random_engine().seed(1); }

// Values that differ from call to call, the same in every run.
inline Tensor random(const Shape& shape, float scale = 1.0f, float offset = 0.0f) {
  std::normal_distribution<float> normal(offset, scale);
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  for (float& value : values.span()) value = normal(random_engine());
  return out;
}

}  // namespace sumi::test
