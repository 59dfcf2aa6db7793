#include "engine/noise.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "ops/layout.h"

namespace sumi::engine {

NoiseStream::NoiseStream(std::string_view rng, uint64_t seed, Device device)
    : generator_(make_generator(rng, seed)), device_(device) {}

Tensor NoiseStream::operator()(const Shape& nhwc) {
  Tensor drawn = Tensor::empty({nhwc[0], nhwc[3], nhwc[1], nhwc[2]});
  const HostEdit<float> values(drawn);
  generator_->randn(values.span());
  return nchw_to_nhwc(drawn).to(device_);
}

Tensor NoiseStream::channels_last(const Shape& nhwc) {
  Tensor drawn = Tensor::empty(nhwc);
  const HostEdit<float> values(drawn);
  generator_->randn_serially(values.span());
  return drawn.to(device_);
}

uint64_t NoiseChoice::seed_of(int64_t number) const {
  if (!seeds.empty()) return seeds[static_cast<size_t>(number)];
  return subseed_strength > 0.0 ? seed : seed + static_cast<uint64_t>(number);
}

JobNoise::JobNoise(NoiseChoice choice, Device device) : choice_(std::move(choice)), device_(device) {
  if (!choice_.by_picture) streams_.emplace_back(choice_.rng, choice_.seed, device_);
}

std::vector<NoiseStream> JobNoise::streams(std::string_view rng) const {
  std::vector<NoiseStream> out;
  if (!choice_.by_picture) out.emplace_back(rng, choice_.seed, device_);
  for (int64_t i = 0; choice_.by_picture && i < count_; ++i)
    out.emplace_back(rng, choice_.seed_of(number_ + i), device_);
  return out;
}

void JobNoise::begin(int64_t first, int64_t count) {
  number_ = first;
  count_ = count;
  if (choice_.by_picture) streams_ = streams(choice_.rng);
}

namespace {

using Draw = Tensor (NoiseStream::*)(const Shape&);

// One draw: of the only stream, or of each.
Tensor draw(std::vector<NoiseStream>& streams, bool by_picture, const Shape& nhwc,
            Draw how = &NoiseStream::operator()) {
  if (!by_picture) return (streams[0].*how)(nhwc);
  SUMI_CHECK_KIND(kInternal, nhwc[0] == static_cast<int64_t>(streams.size()), "noise for {} pictures, not {}",
                  streams.size(), nhwc[0]);
  std::vector<Tensor> drawn;
  for (NoiseStream& stream : streams) drawn.push_back((stream.*how)({1, nhwc[1], nhwc[2], nhwc[3]}));
  return drawn.size() == 1 ? drawn[0] : concat_rows(drawn);
}

}  // namespace

Tensor JobNoise::next(const Shape& nhwc) { return draw(streams_, choice_.by_picture, nhwc); }

Tensor JobNoise::next_channels_last(const Shape& nhwc) {
  return draw(streams_, choice_.by_picture, nhwc, &NoiseStream::channels_last);
}

Tensor JobNoise::apart(const Shape& nhwc, std::string_view rng) const {
  std::vector<NoiseStream> fresh = streams(rng);
  return draw(fresh, choice_.by_picture, nhwc);
}

Tensor JobNoise::first(const Shape& nhwc) {
  const Tensor noise = next(nhwc);
  if (choice_.subseed_strength == 0.0) return noise;
  const Tensor here = noise.to(Device::kCpu);
  std::vector<Tensor> mixed;
  for (int64_t i = 0; i < nhwc[0]; ++i) {
    NoiseStream other(choice_.rng, choice_.subseed + static_cast<uint64_t>(number_ + i), Device::kCpu);
    mixed.push_back(
        mix_along_arc(here.rows(i, i + 1), other({1, nhwc[1], nhwc[2], nhwc[3]}), choice_.subseed_strength));
  }
  return concat_rows(mixed).to(device_);
}

Tensor mix_along_arc(const Tensor& x, const Tensor& y, double part) {
  const int64_t height = x.dim(1), columns = x.dim(2) * x.dim(3);
  const HostView<float> from(x), to(y);
  std::vector<double> angles(static_cast<size_t>(columns));
  double sum = 0.0;
  for (int64_t column = 0; column < columns; ++column) {
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (int64_t row = 0; row < height; ++row) {
      const double a = double{from[row * columns + column]}, b = double{to[row * columns + column]};
      xx += a * a;
      yy += b * b;
      xy += a * b;
    }
    const double cosine = std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
    sum += cosine;
    angles[static_cast<size_t>(column)] = std::acos(cosine);
  }
  const bool parallel = sum / static_cast<double>(columns) > 0.9995;
  Tensor out = Tensor::empty(x.shape());
  const HostEdit<float> values(out);
  for (int64_t column = 0; column < columns; ++column) {
    const double angle = angles[static_cast<size_t>(column)], sine = std::sin(angle);
    const bool straight = parallel || sine == 0.0;
    const double a = straight ? 1.0 - part : std::sin((1.0 - part) * angle) / sine;
    const double b = straight ? part : std::sin(part * angle) / sine;
    for (int64_t row = 0; row < height; ++row) {
      const int64_t at = row * columns + column;
      values[at] = static_cast<float>(a * double{from[at]} + b * double{to[at]});
    }
  }
  return out;
}

}  // namespace sumi::engine
