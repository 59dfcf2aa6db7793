// JPEG files, by libjpeg.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "image/image.h"

namespace sumi::image {

// As RGB, turned upright by the Exif orientation. Throws Error(kData) with one sentence that names `name`: not a JPEG,
// more than kMaxPixels, broken or cut short.
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name = "the picture");

}  // namespace sumi::image
