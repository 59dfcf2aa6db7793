#include "engine/noise.h"

#include "base/check.h"
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

JobNoise::JobNoise(std::string rng, uint64_t seed, bool by_picture, Device device)
    : rng_(std::move(rng)), seed_(seed), by_picture_(by_picture), device_(device) {
  if (!by_picture_) streams_.emplace_back(rng_, seed_, device_);
}

void JobNoise::begin(int64_t first, int64_t count) {
  if (!by_picture_) return;
  streams_.clear();
  for (int64_t i = 0; i < count; ++i) streams_.emplace_back(rng_, seed_ + static_cast<uint64_t>(first + i), device_);
}

Tensor JobNoise::operator()(const Shape& nhwc) {
  if (!by_picture_) return streams_[0](nhwc);
  SUMI_CHECK_KIND(kInternal, nhwc[0] == static_cast<int64_t>(streams_.size()), "noise for {} pictures, not {}",
                  streams_.size(), nhwc[0]);
  std::vector<Tensor> drawn;
  for (NoiseStream& stream : streams_) drawn.push_back(stream({1, nhwc[1], nhwc[2], nhwc[3]}));
  return drawn.size() == 1 ? drawn[0] : concat_rows(drawn);
}

void JobNoise::pass_over(const Shape& nhwc) {
  if (!by_picture_) streams_[0].pass_over(nhwc);
}

}  // namespace sumi::engine
