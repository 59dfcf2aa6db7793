// An 8-bit picture in memory, as image files hold it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sumi::image {

struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 3;
  std::vector<uint8_t> pixels;  // [height, width, channels], 0 … 255

  Image() = default;
  Image(int64_t w, int64_t h, int64_t c = 3)  // black
      : width(w), height(h), channels(c), pixels(static_cast<size_t>(w * h * c)) {}

  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
  bool operator==(const Image&) const = default;
};

}  // namespace sumi::image
