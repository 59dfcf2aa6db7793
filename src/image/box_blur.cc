#include "image/box_blur.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/parallel.h"

namespace sumi::image {
namespace {

constexpr int kPasses = 3;
constexpr int kWeightBits = 24;

// A window of 2·reach + 1 whole pixels and a part of one more to each side. Weights in 2^-24; with a sum of at most
// 255 · 2^24 + 2^23 all fits into 32 bits.
struct Window {
  int64_t reach;
  uint32_t whole, part;
};

// The window whose variance is a third of sigma².
Window window_of(double sigma) {
  const double variance = sigma * sigma / kPasses;
  const double reach = std::floor((std::sqrt(12.0 * variance + 1.0) - 1.0) / 2.0);
  const double more = (2.0 * reach + 1.0) * (reach * (reach + 1.0) - 3.0 * variance) /
                      (6.0 * (variance - (reach + 1.0) * (reach + 1.0)));
  const auto radius = static_cast<float>(reach + more);  // float32 from here on, as PIL has it
  const auto whole = static_cast<int64_t>(radius);
  const auto weight = static_cast<uint32_t>(static_cast<float>(1 << kWeightBits) / (radius * 2.0f + 1.0f));
  return {whole, weight, ((1U << kWeightBits) - static_cast<uint32_t>(2 * whole + 1) * weight) / 2};
}

// The mean over the window at each place of `line`, whose first value lies at `begin` and has reach + 1 others before
// it, as the last has after it.
void average(const uint8_t* begin, uint8_t* to, int64_t length, const Window& w) {
  uint32_t sum = 0;
  for (int64_t i = -w.reach; i <= w.reach; ++i) sum += begin[i];
  for (int64_t i = 0; i < length; ++i) {
    const uint32_t before = begin[i - w.reach - 1], after = begin[i + w.reach + 1];
    to[i] =
        static_cast<uint8_t>((sum * w.whole + (before + after) * w.part + (1U << (kWeightBits - 1))) >> kWeightBits);
    sum += after - begin[i - w.reach];
  }
}

// All passes over each row of each channel.
void blur_rows(Image& image, const Window& w) {
  const int64_t length = image.width, beyond = w.reach + 1, step = image.channels;
  parallel_for(image.height, [&](int64_t y) {
    std::vector<uint8_t> line(static_cast<size_t>(length + 2 * beyond)), means(static_cast<size_t>(length));
    for (int64_t c = 0; c < step; ++c) {
      uint8_t* pixels = image.row(y) + c;
      for (int64_t i = 0; i < length; ++i) means[static_cast<size_t>(i)] = pixels[i * step];
      for (int pass = 0; pass < kPasses; ++pass) {
        std::memset(line.data(), means.front(), static_cast<size_t>(beyond));
        std::memcpy(line.data() + beyond, means.data(), means.size());
        std::memset(line.data() + beyond + length, means.back(), static_cast<size_t>(beyond));
        average(line.data() + beyond, means.data(), length, w);
      }
      for (int64_t i = 0; i < length; ++i) pixels[i * step] = means[static_cast<size_t>(i)];
    }
  });
}

// Rows for columns, by squares that stay in the cache.
Image transposed(const Image& image) {
  constexpr int64_t kSquare = 32;
  const int64_t channels = image.channels;
  Image out(image.height, image.width, channels);
  parallel_for((out.height + kSquare - 1) / kSquare, [&](int64_t strip) {
    const int64_t top = strip * kSquare, bottom = std::min(top + kSquare, out.height);
    for (int64_t left = 0; left < out.width; left += kSquare) {
      const int64_t right = std::min(left + kSquare, out.width);
      for (int64_t y = top; y < bottom; ++y)
        for (int64_t x = left; x < right; ++x)
          std::memcpy(out.row(y) + x * channels, image.row(x) + y * channels, static_cast<size_t>(channels));
    }
  });
  return out;
}

}  // namespace

Image box_blur(const Image& image, double sigma) {
  if (!(sigma > 0.0) || image.pixels.empty()) return image;
  const Window window = window_of(sigma);
  Image rows = image;
  blur_rows(rows, window);
  Image columns = transposed(rows);
  blur_rows(columns, window);
  return transposed(columns);
}

}  // namespace sumi::image
