// WebP files, by libwebp: written. Reading is in read.h.
#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace sumi::image {

inline constexpr int64_t kMostWebpSide = 16383;

// An RGB picture as the bytes of a WebP file, lossy. quality: 0 (small) to 100 (good). `parameters`: its settings, kept
// as Exif; empty: none. The same picture, quality and parameters give the same bytes. Throws Error(kUsage) for an image
// that has other than 3 channels, no pixels, a side over kMostWebpSide or another quality.
std::string encode_webp(const Image& image, int quality, std::string_view parameters = {});

}  // namespace sumi::image
