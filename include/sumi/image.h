// An 8-bit picture in memory, as image files hold it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sumi/export.h"

namespace sumi {

struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 3;
  std::vector<uint8_t> pixels;  // [height, width, channels], 0 … 255, rows without padding

  Image() = default;
  Image(int64_t w, int64_t h, int64_t c = 3)  // black
      : width(w), height(h), channels(c), pixels(static_cast<size_t>(w * h * c)) {}

  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
  bool operator==(const Image&) const = default;
};

// Writes a PNG, whole or not at all (temporary file, fsync, rename). `parameters` becomes the text chunk of that name,
// which carries a picture's settings (Picture::parameters); empty: none. Throws Error(kUsage) for an image that has
// other than 3 channels or whose pixels do not fit its size, Error(kCannotCreate) where the file cannot be written.
// May be called from any thread.
SUMI_API void write_png(const std::string& path, const Image& image, const std::string& parameters = {});

}  // namespace sumi
