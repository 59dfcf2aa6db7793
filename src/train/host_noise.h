// Noise for a step, drawn on the host; the caller moves it to the device.
#pragma once

#include "base/rng.h"
#include "core/tensor.h"

namespace sumi::train {

// Standard normal values.
inline Tensor host_noise(Generator& generator, const Shape& shape) {
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  generator.randn(values.span());
  return out;
}

}  // namespace sumi::train
