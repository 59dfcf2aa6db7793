// Pictures in other sizes.
#pragma once

#include "image/image.h"

namespace sumi::image {

enum class Filter : unsigned char { kBicubic, kLanczos };  // Keys with a = -0.5; three lobes

// As PIL's `Image.resize`: the filter is stretched where the picture shrinks, so that nothing aliases; both passes
// round to 8 bits.
Image resize(const Image& image, int64_t width, int64_t height, Filter filter = Filter::kBicubic);

// The part [left, left + width) × [top, top + height). Throws Error(kInternal) where it is not in the picture.
Image crop(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height);

// The middle of the picture, scaled so that it just covers width × height.
Image resize_to_cover(const Image& image, int64_t width, int64_t height, Filter filter = Filter::kBicubic);

// Mirrored left to right.
Image mirrored(const Image& image);

}  // namespace sumi::image
