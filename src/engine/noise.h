// The noise of a job, drawn from its one generator in the layout of the original.
#pragma once

#include <memory>
#include <string_view>

#include "base/rng.h"
#include "diffusion/sampling.h"

namespace sumi::engine {

// Draws shapes [N,H,W,C] as the [N,C,H,W] that PyTorch would have drawn: on the host, then to the device in one copy.
class NoiseStream {
 public:
  NoiseStream(std::string_view rng, uint64_t seed, Device device);
  Tensor operator()(const Shape& nhwc);
  // Draws the same values and discards them.
  void pass_over(const Shape& nhwc);

 private:
  Tensor draw(const Shape& nhwc);  // [N,C,H,W]

  std::unique_ptr<Generator> generator_;
  Device device_;
};

}  // namespace sumi::engine
