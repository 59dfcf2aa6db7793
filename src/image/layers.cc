#include "image/layers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/parallel.h"
#include "image/box_blur.h"
#include "image/resize.h"

// PIL's arithmetic on bytes. RGBA has colours and an opacity; in premultiplied pictures, which PIL calls RGBa, the
// colours are multiplied by it.

namespace sumi::image {
namespace {

// x / 255, rounded, for x up to 255 · 255.
uint32_t by_255(uint32_t x) {
  x += 128;
  return ((x >> 8) + x) >> 8;
}

void check_same_size(const Image& picture, const Image& other, const char* what) {
  SUMI_CHECK(picture.width == other.width && picture.height == other.height,
             "{} is {}x{}, the picture {}x{}: both must have one size", what, other.width, other.height, picture.width,
             picture.height);
}

// Calls f(y) for each row, in parallel.
template <class F> Image made_by_rows(Image out, const F& f) {
  parallel_for(out.height, [&](int64_t y) { f(y, out.row(y)); });
  return out;
}

// An RGB picture with an opacity of 255 - mask, premultiplied.
Image premultiplied(const Image& picture, const Image& mask) {
  return made_by_rows(Image(picture.width, picture.height, 4), [&](int64_t y, uint8_t* to) {
    const uint8_t *from = picture.row(y), *covered = mask.row(y);
    for (int64_t x = 0; x < picture.width; ++x, from += 3, to += 4) {
      const auto opacity = static_cast<uint32_t>(255 - covered[x]);
      for (size_t c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(by_255(from[c] * opacity));
      to[3] = static_cast<uint8_t>(opacity);
    }
  });
}

// Divides the colours by the opacity, rounded down; where that is 0 they stay.
void unpremultiply(Image& rgba) {
  parallel_for(rgba.height, [&](int64_t y) {
    uint8_t* pixel = rgba.row(y);
    for (int64_t x = 0; x < rgba.width; ++x, pixel += 4) {
      const int opacity = pixel[3];
      if (opacity == 0 || opacity == 255) continue;
      for (size_t c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>(std::min(255, 255 * pixel[c] / opacity));
    }
  });
}

// Shares of two colours have 7 bits more than 255.
constexpr uint32_t kShareBits = 7;

// One pixel over another, both RGBA, which is changed.
void lay_over(const uint8_t* upper, uint8_t* lower) {
  const uint32_t opacity = upper[3];
  if (opacity == 0) return;
  const uint32_t seen = lower[3] * (255 - opacity), both = 255 * opacity + seen;  // times 255
  const uint32_t share = opacity * 255 * 255 * (1U << kShareBits) / both, rest = 255 * (1U << kShareBits) - share;
  const auto rounded = [](uint32_t x) { return ((x >> 8) + x) >> 8; };
  for (size_t c = 0; c < 3; ++c) {
    const uint32_t sum = upper[c] * share + lower[c] * rest;
    lower[c] = static_cast<uint8_t>(rounded(sum + (0x80U << kShareBits)) >> kShareBits);
  }
  lower[3] = static_cast<uint8_t>(rounded(both + 0x80));
}

void lay_over(const Image& upper, Image& lower) {
  parallel_for(lower.height, [&](int64_t y) {
    for (int64_t x = 0; x < lower.width; ++x) lay_over(upper.row(y) + 4 * x, lower.row(y) + 4 * x);
  });
}

Image without_opacity(const Image& rgba) {
  return made_by_rows(Image(rgba.width, rgba.height), [&](int64_t y, uint8_t* to) {
    const uint8_t* from = rgba.row(y);
    for (int64_t x = 0; x < rgba.width; ++x, from += 4) to = std::copy_n(from, 3, to);
  });
}

// The softened mask twice as steep: the picture shows through its outer half alone.
Image steeper(const Image& mask) {
  return made_by_rows(Image(mask.width, mask.height, 1), [&](int64_t y, uint8_t* to) {
    std::transform(mask.row(y), mask.row(y) + mask.width, to,
                   [](uint8_t value) { return static_cast<uint8_t>(std::min(255, 2 * value)); });
  });
}

// `drawn` at its place in a picture that is see-through around it.
Image placed(const Image& drawn, const Image& picture, const Box& region) {
  Image out(picture.width, picture.height, 4);
  for (int64_t y = 0; y < region.height; ++y) {
    const uint8_t* from = drawn.row(y);
    uint8_t* to = out.row(region.top + y) + 4 * region.left;
    for (int64_t x = 0; x < region.width; ++x, from += 3, to += 4) {
      std::copy_n(from, 3, to);
      to[3] = 255;
    }
  }
  return out;
}

// Grows one side of a mask: [begin, end) are the columns or rows of the old picture.
struct Kept {
  int64_t begin, end;
  Kept(int64_t before, int64_t length, int64_t after, int64_t overlap)
      : begin(before + (before > 0 ? std::min(overlap, length / 2) : 0)),
        end(before + length - (after > 0 ? std::min(overlap, length / 2) : 0)) {}
};

}  // namespace

Image fill_under(const Image& picture, const Image& mask) {
  check_same_size(picture, mask, "the mask");
  // The sigma of each layer and how often it is laid on, which makes up for the opacity that the blur took.
  static constexpr std::array<std::pair<double, int>, 6> kLayers{{{256, 1}, {64, 1}, {16, 2}, {4, 4}, {2, 2}, {0, 1}}};
  const Image seen = premultiplied(picture, mask);
  Image out(picture.width, picture.height, 4);
  for (const auto& [sigma, times] : kLayers) {
    Image layer = box_blur(seen, sigma);
    unpremultiply(layer);
    for (int i = 0; i < times; ++i) lay_over(layer, out);
  }
  return without_opacity(out);
}

Image put_back(const Image& picture, const Image& drawn, const Image& mask) {
  check_same_size(picture, drawn, "what was drawn");
  return put_back(picture, drawn, mask, {0, 0, picture.width, picture.height});
}

Image put_back(const Image& picture, const Image& drawn, const Image& mask, const Box& region) {
  check_same_size(picture, mask, "the mask");
  SUMI_CHECK_KIND(kInternal,
                  region.left >= 0 && region.top >= 0 && region.left + region.width <= picture.width &&
                      region.top + region.height <= picture.height,
                  "the region is not in the picture");
  Image out = placed(resize_to_fit(drawn, region.width, region.height, Fit::kCrop), picture, region);
  Image upper = premultiplied(picture, steeper(mask));
  unpremultiply(upper);
  lay_over(upper, out);
  return without_opacity(out);
}

Extended extend(const Image& picture, const Margins& m, int64_t overlap) {
  SUMI_CHECK_KIND(kUsage, m.left >= 0 && m.right >= 0 && m.top >= 0 && m.bottom >= 0 && overlap >= 0,
                  "a picture is extended by 0 or more pixels to each side, not by {}, {}, {} and {}", m.left, m.right,
                  m.top, m.bottom);
  constexpr int64_t kMostSide = int64_t{1} << 24;  // before products are taken
  SUMI_CHECK_KIND(kUsage, std::max({m.left, m.right, m.top, m.bottom}) <= kMostSide,
                  "a picture is extended by at most {} pixels", kMostSide);
  const int64_t width = m.left + picture.width + m.right, height = m.top + picture.height + m.bottom;
  check_pixels(width, height, "the extended picture");
  const Kept columns(m.left, picture.width, m.right, overlap), rows(m.top, picture.height, m.bottom, overlap);
  Extended out{Image(width, height, picture.channels), Image(width, height, 1)};
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* from = picture.row(std::clamp<int64_t>(y - m.top, 0, picture.height - 1));
    uint8_t *to = out.picture.row(y), *mask = out.mask.row(y);
    for (int64_t x = 0; x < width; ++x) {
      const int64_t at = std::clamp<int64_t>(x - m.left, 0, picture.width - 1);
      to = std::copy_n(from + at * picture.channels, picture.channels, to);
      const bool kept = x >= columns.begin && x < columns.end && y >= rows.begin && y < rows.end;
      mask[x] = static_cast<uint8_t>(kept ? 0 : 255);
    }
  }
  return out;
}

}  // namespace sumi::image
