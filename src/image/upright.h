// Exif's orientation, and the colour under see-through pixels: what every picture file may need once it is decoded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "image/image.h"

namespace sumi::image {

// Red, green, blue.
using Colour = std::array<uint8_t, 3>;
inline constexpr Colour kWhite{255, 255, 255};
// What lies under see-through pixels; nothing: the opacity stays, as a fourth channel.
using Background = std::optional<Colour>;

// "white", "black", "gray" or "#rrggbb"; throws Error(kUsage) for another text.
Colour colour_of(const std::string& text);

// The orientation, 1 to 8, of an Exif block, with or without the "Exif\0\0" that JPEG puts before it; 1 where there is
// none or it is broken.
int exif_orientation(std::span<const uint8_t> exif);

// The picture as it should be looked at.
Image turned_upright(const Image& image, int orientation);

// A picture of 4 channels, the last the opacity, over a colour, as RGB: in the file's own values, as viewers do.
// Without a background the picture itself.
Image over(const Image& rgba, const Background& background);

}  // namespace sumi::image
