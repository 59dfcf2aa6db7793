// The noise of a job, drawn from its generators in the layout of the original.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "core/tensor.h"

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

// The noise of a whole job: one stream for all its pictures, or one for each.
class JobNoise {
 public:
  JobNoise(std::string rng, uint64_t seed, bool by_picture, Device device);
  // Begins the batch of `count` pictures from number `first` on. By picture, picture i draws from seed + i.
  void begin(int64_t first, int64_t count);
  // [N,H,W,C]; by picture, N is the batch's count.
  Tensor operator()(const Shape& nhwc);
  void pass_over(const Shape& nhwc);

 private:
  std::string rng_;
  uint64_t seed_;
  bool by_picture_;
  Device device_;
  std::vector<NoiseStream> streams_;
};

}  // namespace sumi::engine
