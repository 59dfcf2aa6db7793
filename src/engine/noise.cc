#include "engine/noise.h"

#include "ops/layout.h"

namespace sumi::engine {

NoiseStream::NoiseStream(std::string_view rng, uint64_t seed, Device device)
    : generator_(make_generator(rng, seed)), device_(device) {}

Tensor NoiseStream::draw(const Shape& nhwc) {
  Tensor drawn = Tensor::empty({nhwc[0], nhwc[3], nhwc[1], nhwc[2]});
  const HostEdit<float> values(drawn);
  generator_->randn(values.span());
  return drawn;
}

Tensor NoiseStream::operator()(const Shape& nhwc) { return nchw_to_nhwc(draw(nhwc)).to(device_); }

void NoiseStream::pass_over(const Shape& nhwc) { draw(nhwc); }

}  // namespace sumi::engine
