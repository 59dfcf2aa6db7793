#include "pipeline/noise.h"

#include "ops/layout.h"

namespace sumi::pipeline {

NoiseStream::NoiseStream(std::string_view rng, uint64_t seed, Device device)
    : generator_(make_generator(rng, seed)), device_(device) {}

Tensor NoiseStream::operator()(const Shape& nhwc) {
  Tensor drawn = Tensor::empty({nhwc[0], nhwc[3], nhwc[1], nhwc[2]});
  generator_->randn(drawn.span<float>());
  return nchw_to_nhwc(drawn).to(device_);
}

}  // namespace sumi::pipeline
