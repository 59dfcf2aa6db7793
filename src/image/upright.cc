#include "image/upright.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/text_util.h"
#include "image/exif.h"

namespace sumi::image {

Colour colour_of(const std::string& text) {
  if (text == "white") return kWhite;
  if (text == "black") return {0, 0, 0};
  if (text == "gray" || text == "grey") return {128, 128, 128};
  uint32_t value = 0;
  const char *begin = text.data() + 1, *end = text.data() + text.size();
  const bool hex = text.size() == 7 && text[0] == '#' && std::from_chars(begin, end, value, 16).ptr == end;
  SUMI_CHECK_KIND(kUsage, hex, "`background` must be white, black, gray or a colour such as #80ff00, not {}",
                  shorten(strip_control(text), 60));
  return {static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

int exif_orientation(std::span<const uint8_t> block) {
  constexpr uint32_t kOrientation = 0x0112;
  const Exif exif({reinterpret_cast<const char*>(block.data()), block.size()});
  for (const ExifEntry& entry : exif.first_directory()) {
    if (entry.tag != kOrientation) continue;
    const uint32_t value = exif.number(entry.value, 2).value_or(1);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Orientations 2 to 8: bit 2 of (orientation - 1) exchanges rows and columns, the others mirror.
Image turned_upright(const Image& image, int orientation) {
  if (orientation == 1) return image;
  const bool swaps = orientation >= 5;
  const int64_t channels = image.channels;
  Image out(swaps ? image.height : image.width, swaps ? image.width : image.height, channels);
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      int64_t from_x = swaps ? y : x, from_y = swaps ? x : y;
      if (mirror_x) from_x = image.width - 1 - from_x;
      if (mirror_y) from_y = image.height - 1 - from_y;
      std::copy_n(image.row(from_y) + channels * from_x, channels, out.row(y) + channels * x);
    }
  }
  return out;
}

Image over(const Image& rgba, const Background& background) {
  if (!background) return rgba;
  const Colour& under = *background;
  Image out(rgba.width, rgba.height);
  for (size_t i = 0; i < out.pixels.size() / 3; ++i) {
    const uint8_t* from = rgba.pixels.data() + 4 * i;
    const int opacity = from[3];
    for (size_t c = 0; c < 3; ++c)
      out.pixels[3 * i + c] = static_cast<uint8_t>((from[c] * opacity + under[c] * (255 - opacity) + 127) / 255);
  }
  return out;
}

}  // namespace sumi::image
