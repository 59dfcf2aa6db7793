// BMP files: Windows bitmaps, uncompressed.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "image/upright.h"

namespace sumi::image {

// 1, 4, 8, 16, 24 and 32 bits a pixel, rows from either side, headers of all versions. Opacity counts where the header
// has a mask for it. Throws Error(kData), naming `name`: broken, cut short, run-length coded, or over kMaxPixels.
Image decode_bmp(std::span<const std::byte> bytes, const std::string& name, const Background& background = kWhite);

}  // namespace sumi::image
