// What all pictures must be that are written with a loss.
#pragma once

#include <cstdint>
#include <string_view>

#include "image/image.h"

namespace sumi::image {

struct WrittenKind {
  std::string_view name;     // "JPEG"
  int64_t most_side = 0;     // pixels
  std::string_view instead;  // what takes larger ones: "PNG"
};

// Throws Error(kUsage) for a picture that is not RGB with all of its pixels, for one that is too large, and for a
// quality outside 0 to 100.
void check_written(const Image& image, int quality, const WrittenKind& kind);

}  // namespace sumi::image
