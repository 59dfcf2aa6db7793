// JPEG files, by libjpeg: written. Reading is in jpeg.h.
#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace sumi::image {

inline constexpr int64_t kMostJpegSide = 65500;  // libjpeg's

// An RGB picture as the bytes of a JPEG file. quality: 0 (small) to 100 (good). `parameters`: its settings, kept as
// Exif, unless they are longer than a segment of the file (32,000 characters); empty: none. The same picture, quality
// and parameters give the same bytes. Throws Error(kUsage) for an image that has other than 3 channels, no pixels, a
// side over kMostJpegSide or another quality.
std::string encode_jpeg(const Image& image, int quality, std::string_view parameters = {});

}  // namespace sumi::image
