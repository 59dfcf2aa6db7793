#include "image/bmp.h"

#include <array>
#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "image/read.h"

namespace sumi::image {
namespace {

// Little-endian numbers of a file; beyond its end they are 0, which the checks of sizes then find.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size(); }
  uint32_t operator()(size_t at, int width) const {
    uint32_t value = 0;
    for (int i = width - 1; i >= 0; --i) {
      const size_t place = at + static_cast<size_t>(i);
      value = value << 8 | (place < bytes_.size() ? std::to_integer<uint32_t>(bytes_[place]) : 0);
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
};

// The bits of a pixel that are one colour, as 0 to 255.
struct Mask {
  uint32_t bits = 0;
  uint8_t of(uint32_t pixel) const {
    if (bits == 0) return 0;
    const int shift = std::countr_zero(bits);
    const uint64_t most = bits >> shift, value = (pixel & bits) >> shift;
    return static_cast<uint8_t>((value * 255 + most / 2) / most);
  }
};

struct Header {
  int64_t width = 0, height = 0;
  bool top_down = false;
  uint32_t depth = 0, compression = 0, colours = 0;
  size_t pixels = 0, palette = 0;  // places in the file
  size_t palette_entry = 4;
  std::array<Mask, 4> masks{};  // red, green, blue, opacity
};

constexpr uint32_t kRgb = 0, kBitFields = 3, kAlphaBitFields = 6;
constexpr size_t kFileHeader = 14;

Header read_header(const Bytes& file, const std::string& name) {
  Header h;
  h.pixels = file(10, 4);
  const uint32_t size = file(kFileHeader, 4);
  SUMI_CHECK(size == 12 || (size >= 40 && size <= 1024), "{} is a BMP with an unknown header of {} bytes", name, size);
  const bool core = size == 12;
  h.width = core ? file(18, 2) : static_cast<int32_t>(file(18, 4));
  const int64_t height = core ? int64_t{file(20, 2)} : int64_t{static_cast<int32_t>(file(22, 4))};
  h.top_down = height < 0;
  h.height = std::abs(height);
  h.depth = file(core ? 24 : 28, 2);
  h.compression = core ? kRgb : file(30, 4);
  h.colours = core ? 0 : file(46, 4);
  h.palette = kFileHeader + size;
  h.palette_entry = core ? 3 : 4;
  SUMI_CHECK(h.width >= 1 && h.height >= 1, "{} is a broken BMP: {}x{}", name, h.width, h.height);
  const bool known = h.depth == 1 || h.depth == 4 || h.depth == 8 || h.depth == 16 || h.depth == 24 || h.depth == 32;
  SUMI_CHECK(known, "{} is a broken BMP: {} bits a pixel", name, h.depth);
  const bool fields = h.compression == kBitFields || h.compression == kAlphaBitFields;
  SUMI_CHECK(h.compression == kRgb || (fields && (h.depth == 16 || h.depth == 32)),
             "{} is a compressed BMP (kind {}), which is not read; save it as PNG", name, h.compression);
  if (h.depth == 16) h.masks = {Mask{0x7C00}, Mask{0x03E0}, Mask{0x001F}, Mask{}};
  if (h.depth == 32) h.masks = {Mask{0xFF0000}, Mask{0xFF00}, Mask{0xFF}, Mask{}};
  if (fields) {
    // In a header of 40 bytes they follow it, and so does the palette.
    for (size_t i = 0; i < 3; ++i) h.masks[i].bits = file(54 + 4 * i, 4);
    if (size >= 56 || h.compression == kAlphaBitFields) h.masks[3].bits = file(66, 4);
    if (size == 40) h.palette += h.compression == kBitFields ? 12 : 16;
  }
  return h;
}

}  // namespace

Image decode_bmp(std::span<const std::byte> bytes, const std::string& name, const Background& background) {
  const Bytes file(bytes);
  SUMI_CHECK(file.size() >= kFileHeader + 12 && file(0, 2) == 0x4D42, "{} is a broken BMP: it is cut short", name);
  const Header h = read_header(file, name);
  check_pixels(h.width, h.height, name);
  const uint64_t row = (static_cast<uint64_t>(h.width) * h.depth + 31) / 32 * 4;
  SUMI_CHECK(h.pixels <= file.size() && row * static_cast<uint64_t>(h.height) <= file.size() - h.pixels,
             "{} is a broken BMP: it is cut short", name);
  const uint32_t most = h.depth <= 8 ? 1U << h.depth : 0;
  const uint32_t colours = h.colours == 0 ? most : std::min(h.colours, most);
  SUMI_CHECK(h.palette + colours * h.palette_entry <= file.size(), "{} is a broken BMP: its palette is cut short",
             name);
  const bool opacity = h.masks[3].bits != 0;
  Image out(h.width, h.height, opacity ? 4 : 3);
  for (int64_t y = 0; y < h.height; ++y) {
    const size_t from = h.pixels + static_cast<size_t>(row) * static_cast<size_t>(h.top_down ? y : h.height - 1 - y);
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < h.width; ++x, to += out.channels) {
      const auto column = static_cast<size_t>(x);
      if (h.depth <= 8) {
        const size_t bit = column * h.depth;
        const uint32_t index = file(from + bit / 8, 1) >> (8 - h.depth - bit % 8) & (most - 1);
        SUMI_CHECK(index < colours, "{} is a broken BMP: a pixel has the colour {} of {}", name, index, colours);
        const size_t entry = h.palette + index * h.palette_entry;
        for (size_t c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(file(entry + 2 - c, 1));
      } else if (h.depth == 24) {
        for (size_t c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(file(from + 3 * column + 2 - c, 1));
      } else {
        const uint32_t pixel = file(from + column * h.depth / 8, static_cast<int>(h.depth / 8));
        for (int64_t c = 0; c < out.channels; ++c) to[c] = h.masks[static_cast<size_t>(c)].of(pixel);
      }
    }
  }
  return opacity ? over(out, background) : out;
}

}  // namespace sumi::image
