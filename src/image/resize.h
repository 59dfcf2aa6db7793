// Pictures in other sizes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/image.h"

namespace sumi::image {

// PIL's: the nearest pixel, means, a triangle, a Hamming window of one lobe, Keys' cubic with a = -0.5, a Lanczos
// window of three lobes.
enum class Filter : unsigned char { kNearest, kBox, kBilinear, kHamming, kBicubic, kLanczos };

// Their names, for messages.
inline constexpr std::string_view kFilterNames = "nearest, box, bilinear, hamming, bicubic, lanczos";
// The filter of a name, in any case; none for another name.
std::optional<Filter> find_filter(const std::string& name);
// The same; throws Error(kUsage) for another name.
Filter filter_of(const std::string& name);

// The bytes of PIL's `Image.resize`: the filter is stretched where the picture shrinks, so that nothing aliases; rows
// first, then columns, rounded to 8 bits after each; a side that keeps its length is not filtered. Channels are
// filtered each by itself: an opacity does not weigh the colours. Throws Error(kData) for an empty size.
Image resize(const Image& image, int64_t width, int64_t height, Filter filter = Filter::kBicubic);

// The part [left, left + width) × [top, top + height). Throws Error(kInternal) where it is not in the picture.
Image crop(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height);

// The middle of the picture, scaled so that it just covers width × height.
Image resize_to_cover(const Image& image, int64_t width, int64_t height, Filter filter = Filter::kBicubic);

// How a picture becomes one of another shape.
//   kStretch  each side by itself
//   kCrop     scaled to cover the size, its middle cut out
//   kFill     scaled to fit inside, in the middle; the rest is made of its outermost pixels
enum class Fit : unsigned char { kStretch, kCrop, kFill };

// "stretch", "crop", "fill"; throws Error(kUsage) for another name.
Fit fit_of(const std::string& name);

// The picture as width × height, as the web UI's resize modes have it (sides of the scaled picture rounded down),
// except that kFill leaves no black line where the rest is odd. A picture of that size comes back unchanged. Throws
// Error(kData) for an empty size, and where a picture so long and narrow would be scaled to nothing.
Image resize_to_fit(const Image& image, int64_t width, int64_t height, Fit fit, Filter filter = Filter::kLanczos);

// Mirrored left to right.
Image mirrored(const Image& image);

}  // namespace sumi::image
