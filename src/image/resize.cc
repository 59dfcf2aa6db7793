#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace sumi::image {
namespace {

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(M_PI * x) / (M_PI * x); }

double weight(Filter filter, double x) {
  x = std::fabs(x);
  if (filter == Filter::kLanczos) return x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
  constexpr double kA = -0.5;
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * kA;
  return 0.0;
}

// Which input pixels make an output pixel, and with what weights.
struct Taps {
  int64_t first;
  std::vector<double> weights;
};

std::vector<Taps> taps_of(int64_t in, int64_t out, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(1.0, scale);
  const double reach = (filter == Filter::kLanczos ? 3.0 : 2.0) * stretch;
  std::vector<Taps> all;
  for (int64_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(center - reach + 0.5)));
    const auto last = std::min<int64_t>(in, static_cast<int64_t>(std::floor(center + reach + 0.5)));
    Taps taps{first, {}};
    double sum = 0.0;
    for (int64_t j = first; j < last; ++j) {
      taps.weights.push_back(weight(filter, (static_cast<double>(j) - center + 0.5) / stretch));
      sum += taps.weights.back();
    }
    for (double& w : taps.weights) w /= sum;
    all.push_back(std::move(taps));
  }
  return all;
}

uint8_t to_byte(double value) { return static_cast<uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0)); }

Image resize_rows(const Image& image, int64_t width, Filter filter) {
  const std::vector<Taps> taps = taps_of(image.width, width, filter);
  Image out(width, image.height, image.channels);
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const Taps& t = taps[static_cast<size_t>(x)];
      for (int64_t c = 0; c < image.channels; ++c) {
        const uint8_t* from = image.row(y) + t.first * image.channels + c;
        double sum = 0.0;
        for (size_t k = 0; k < t.weights.size(); ++k)
          sum += t.weights[k] * from[static_cast<int64_t>(k) * image.channels];
        out.row(y)[x * image.channels + c] = to_byte(sum);
      }
    }
  }
  return out;
}

Image resize_columns(const Image& image, int64_t height, Filter filter) {
  const std::vector<Taps> taps = taps_of(image.height, height, filter);
  Image out(image.width, height, image.channels);
  const int64_t row = image.width * image.channels;
  std::vector<double> sums(static_cast<size_t>(row));
  for (int64_t y = 0; y < height; ++y) {
    const Taps& t = taps[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), 0.0);
    for (size_t k = 0; k < t.weights.size(); ++k) {
      const uint8_t* from = image.row(t.first + static_cast<int64_t>(k));
      for (int64_t i = 0; i < row; ++i) sums[static_cast<size_t>(i)] += t.weights[k] * from[i];
    }
    std::transform(sums.begin(), sums.end(), out.row(y), to_byte);
  }
  return out;
}

}  // namespace

Image resize(const Image& image, int64_t width, int64_t height, Filter filter) {
  SUMI_CHECK(width > 0 && height > 0 && image.width > 0 && image.height > 0,
             "a picture of {}x{} cannot become one of {}x{}", image.width, image.height, width, height);
  Image out = image.width == width ? image : resize_rows(image, width, filter);
  return out.height == height ? out : resize_columns(out, height, filter);
}

Image crop(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height) {
  SUMI_CHECK_KIND(kInternal, left >= 0 && top >= 0 && left + width <= image.width && top + height <= image.height,
                  "no part {}x{} at {},{} in a picture of {}x{}", width, height, left, top, image.width, image.height);
  Image out(width, height, image.channels);
  for (int64_t y = 0; y < height; ++y)
    std::copy_n(image.row(top + y) + left * image.channels, width * image.channels, out.row(y));
  return out;
}

Image resize_to_cover(const Image& image, int64_t width, int64_t height, Filter filter) {
  const double scale = std::max(static_cast<double>(width) / static_cast<double>(image.width),
                                static_cast<double>(height) / static_cast<double>(image.height));
  const auto scaled = [&](int64_t side, int64_t least) {
    return std::max(least, static_cast<int64_t>(std::lround(scale * static_cast<double>(side))));
  };
  const Image large = resize(image, scaled(image.width, width), scaled(image.height, height), filter);
  return crop(large, (large.width - width) / 2, (large.height - height) / 2, width, height);
}

Image mirrored(const Image& image) {
  Image out(image.width, image.height, image.channels);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x)
      std::copy_n(image.row(y) + (image.width - 1 - x) * image.channels, image.channels,
                  out.row(y) + x * image.channels);
  }
  return out;
}

}  // namespace sumi::image
