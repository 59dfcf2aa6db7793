// GIF files, by giflib.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "image/upright.h"

namespace sumi::image {

// The first picture of the file over `background`. Throws Error(kData), naming `name`: broken, cut short, or over
// kMaxPixels.
Image decode_gif(std::span<const std::byte> bytes, const std::string& name, const Background& background = kWhite);

}  // namespace sumi::image
