// What the first bytes of a picture's file say about it, without decoding it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sumi::app {

struct PictureHead {
  int64_t width = 0, height = 0;  // pixels, as they lie in the file
  bool may_be_turned = true;      // an orientation may swap them
  bool may_be_see_through = true;
};

// Of a PNG, JPEG or WebP; none of another file, and of a broken one. The rest of the file may still be broken.
std::optional<PictureHead> picture_head(std::string_view file);

}  // namespace sumi::app
