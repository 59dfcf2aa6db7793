#include "image/watermark.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/parallel.h"

// Everything follows the package to the last rounding; this file is compiled without fused multiply-adds.

namespace sumi::image {
namespace {

constexpr int64_t kBlock = 4;                 // coefficients to a side
constexpr int64_t kBand = 2 * kBlock;         // rows of pixels with a row of blocks
constexpr double kStep = 36.0;                // of a coefficient
constexpr double kHalf = 0.7071067811865476;  // √½, Haar's two coefficients
constexpr size_t kBitsOfByte = 8, kLeastBytes = 3, kMostBytes = 128;

void check_size(const Image& image) {
  SUMI_CHECK_KIND(kInternal, image.channels == 3, "a watermark needs an RGB picture");
  SUMI_CHECK_KIND(kUsage, image.width * image.height >= kLeastWatermarkPixels,
                  "a picture of {}x{} is too small for a watermark: it needs {} pixels, for instance 256x256",
                  image.width, image.height, kLeastWatermarkPixels);
}

// One pixel as luma and the two colour differences, and back: on bytes, as OpenCV has it, in fractions of 2^14.
struct ByteYuv {
  static constexpr int kBits = 14, kMiddle = 128;
  static int64_t rounded(int64_t x) { return (x + (1 << (kBits - 1))) >> kBits; }
  static int64_t byte(int64_t x) { return std::clamp<int64_t>(x, 0, 255); }

  int64_t y, u, v;
  explicit ByteYuv(const uint8_t* rgb)
      : y(rounded(4899 * rgb[0] + 9617 * rgb[1] + 1868 * rgb[2])),
        u(byte(rounded(8061 * (rgb[2] - y)) + kMiddle)),
        v(byte(rounded(14369 * (rgb[0] - y)) + kMiddle)) {}

  void to_rgb(uint8_t* rgb) const {
    const int64_t du = u - kMiddle, dv = v - kMiddle;
    rgb[0] = static_cast<uint8_t>(byte(y + rounded(18678 * dv)));
    rgb[1] = static_cast<uint8_t>(byte(y + rounded(-6472 * du - 9519 * dv)));
    rgb[2] = static_cast<uint8_t>(byte(y + rounded(33292 * du)));
  }
};

// The same on numbers from 0 to 255 that need not be whole.
struct RealYuv {
  static constexpr double kMiddle = 0.5;

  double y, u, v;
  template <class T>
  explicit RealYuv(const T* rgb)
      : y(0.114 * rgb[2] + 0.587 * rgb[1] + 0.299 * rgb[0]),
        u(0.492 * (rgb[2] - y) + kMiddle),
        v(0.877 * (rgb[0] - y) + kMiddle) {}

  std::array<double, 3> rgb() const {
    const double du = u - kMiddle, dv = v - kMiddle;
    return {y + 1.140 * dv, y - 0.395 * du - 0.581 * dv, y + 2.032 * du};
  }
};

// Haar's transform of a band of the plane: up to 8 rows, in whole squares of 4 pixels.
class Band {
 public:
  // `u` [rows, width].
  Band(const std::vector<double>& u, int64_t rows, int64_t width)
      : rows_(rows / 2),
        columns_(width / 2),
        low_(static_cast<size_t>(rows_ * columns_)),
        across_(low_),
        down_(low_),
        both_(low_) {
    for (int64_t y = 0; y < rows_; ++y) {
      const double *even = u.data() + 2 * y * width, *odd = even + width;
      for (int64_t x = 0; x < columns_; ++x) {
        const size_t i = index(y, x);
        const double low0 = odd[2 * x] * kHalf + even[2 * x] * kHalf;
        const double low1 = odd[2 * x + 1] * kHalf + even[2 * x + 1] * kHalf;
        const double high0 = even[2 * x] * kHalf - odd[2 * x] * kHalf;
        const double high1 = even[2 * x + 1] * kHalf - odd[2 * x + 1] * kHalf;
        low_[i] = low1 * kHalf + low0 * kHalf;
        across_[i] = low0 * kHalf - low1 * kHalf;
        down_[i] = high1 * kHalf + high0 * kHalf;
        both_[i] = high0 * kHalf - high1 * kHalf;
      }
    }
  }

  // Back to pixels. The package hands the details across and down to the inverse in each other's place.
  void inverse(std::vector<double>& u) const {
    const int64_t width = 2 * columns_;
    for (int64_t y = 0; y < rows_; ++y) {
      double *even = u.data() + 2 * y * width, *odd = even + width;
      for (int64_t x = 0; x < columns_; ++x) {
        const size_t i = index(y, x);
        const double low0 = low_[i] * kHalf + down_[i] * kHalf, low1 = low_[i] * kHalf - down_[i] * kHalf;
        const double high0 = across_[i] * kHalf + both_[i] * kHalf, high1 = across_[i] * kHalf - both_[i] * kHalf;
        even[2 * x] = low0 * kHalf + high0 * kHalf;
        even[2 * x + 1] = low1 * kHalf + high1 * kHalf;
        odd[2 * x] = low0 * kHalf - high0 * kHalf;
        odd[2 * x + 1] = low1 * kHalf - high1 * kHalf;
      }
    }
  }

  // Whole blocks; a band of 4 rows has none.
  int64_t blocks() const { return rows_ == kBlock ? columns_ / kBlock : 0; }

  // The coefficient of a block that carries its bit: the first of the largest, the block's first one left out.
  double& carrier(int64_t block) {
    double* largest = nullptr;
    for (int64_t i = 1; i < kBlock * kBlock; ++i) {
      double& value = low_[index(i / kBlock, block * kBlock + i % kBlock)];
      if (largest == nullptr || std::fabs(value) > std::fabs(*largest)) largest = &value;
    }
    return *largest;
  }

 private:
  size_t index(int64_t y, int64_t x) const { return static_cast<size_t>(y * columns_ + x); }

  int64_t rows_, columns_;
  std::vector<double> low_, across_, down_, both_;
};

double with_bit(double value, uint8_t bit) {
  const double size = (std::floor(std::fabs(value) / kStep) + 0.25 + 0.5 * bit) * kStep;
  return value >= 0.0 ? size : -size;
}

bool bit_of(double value) { return std::fmod(std::fabs(value), kStep) > 0.5 * kStep; }

// The part of a picture that is transformed.
struct Area {
  int64_t rows, columns;
  Area(int64_t height, int64_t width) : rows(height / kBlock * kBlock), columns(width / kBlock * kBlock) {}
  int64_t blocks_across() const { return columns / kBand; }
};

// Calls f(first row, rows) for each band of a picture, in parallel.
template <class F> void for_bands(int64_t height, const F& f) {
  parallel_for((height + kBand - 1) / kBand,
               [&](int64_t band) { f(band * kBand, std::min(kBand, height - band * kBand)); });
}

// Puts the bits into `rows` rows of the plane from row `top` on; `u` [rows, columns of the area].
void mark(std::vector<double>& u, int64_t top, int64_t rows, const Area& area, const Bits& bits) {
  Band band(u, rows, area.columns);
  for (int64_t block = 0; block < band.blocks(); ++block) {
    const auto number = static_cast<size_t>(top / kBand * area.blocks_across() + block);
    double& value = band.carrier(block);
    value = with_bit(value, bits[number % bits.size()]);
  }
  band.inverse(u);
}

// Of each bit what most of its blocks say. `plane(pixel)` is the plane's value of a pixel.
template <class Plane> Bits decode(const Image& image, size_t count, const Plane& plane) {
  check_size(image);
  const Area area(image.height, image.width);
  std::vector<uint8_t> read(static_cast<size_t>(area.rows / kBand * area.blocks_across()));
  for_bands(area.rows, [&](int64_t top, int64_t rows) {
    std::vector<double> u;
    for (int64_t y = top; y < top + rows; ++y)
      for (int64_t x = 0; x < area.columns; ++x) u.push_back(plane(image.row(y) + 3 * x));
    Band band(u, rows, area.columns);
    for (int64_t block = 0; block < band.blocks(); ++block)
      read[static_cast<size_t>(top / kBand * area.blocks_across() + block)] = bit_of(band.carrier(block)) ? 1 : 0;
  });
  std::vector<int64_t> ones(count), all(count);
  for (size_t i = 0; i < read.size(); ++i) {
    ones[i % count] += read[i];
    ++all[i % count];
  }
  Bits bits;
  for (size_t i = 0; i < count; ++i) {
    const double mean = static_cast<double>(ones[i]) / static_cast<double>(std::max<int64_t>(1, all[i]));
    bits.push_back(mean * 255.0 > 127.0 ? 1 : 0);
  }
  return bits;
}

// One picture [height,width,3] in [-1, 1].
void embed_real(float* picture, int64_t height, int64_t width, const Bits& bits) {
  const Area area(height, width);
  for_bands(height, [&](int64_t top, int64_t all_rows) {
    const int64_t rows = std::clamp<int64_t>(area.rows - top, 0, all_rows);
    std::vector<RealYuv> pixels;
    std::vector<double> u;
    float* values = picture + top * width * 3;
    for (int64_t i = 0; i < all_rows * width; ++i) {
      const float* x = values + 3 * i;
      const std::array<float, 3> rgb{255.0f * (x[0] / 2.0f + 0.5f), 255.0f * (x[1] / 2.0f + 0.5f),
                                     255.0f * (x[2] / 2.0f + 0.5f)};
      pixels.emplace_back(rgb.data());
      if (i / width < rows && i % width < area.columns) u.push_back(pixels.back().u);
    }
    mark(u, top, rows, area, bits);
    size_t next = 0;
    for (int64_t i = 0; i < all_rows * width; ++i) {
      RealYuv& pixel = pixels[static_cast<size_t>(i)];
      if (i / width < rows && i % width < area.columns) pixel.u = u[next++];
      for (const double value : pixel.rgb())
        *values++ = std::clamp(2.0f * (static_cast<float>(value) / 255.0f - 0.5f), -1.0f, 1.0f);
    }
  });
}

}  // namespace

Bits watermark_bits(std::string_view text) {
  SUMI_CHECK_KIND(kUsage, text.size() >= kLeastBytes && text.size() <= kMostBytes,
                  "a watermark is a text of {} to {} bytes, not of {}", kLeastBytes, kMostBytes, text.size());
  Bits bits;
  for (const char c : text)
    for (size_t i = kBitsOfByte; i-- > 0;) bits.push_back((static_cast<unsigned char>(c) >> i) & 1);
  return bits;
}

std::string text_of(const Bits& bits) {
  std::string text(bits.size() / kBitsOfByte, '\0');
  for (size_t i = 0; i < text.size() * kBitsOfByte; ++i) {
    char& c = text[i / kBitsOfByte];
    c = static_cast<char>(static_cast<unsigned char>(c) << 1 | bits[i]);
  }
  return text;
}

const Bits& sdxl_watermark_bits() {
  static const Bits bits = watermark_bits("\xB3\xEC\x90\x7B\xB1\x9E");
  return bits;
}

void embed_watermark(Image& image, const Bits& bits) {
  check_size(image);
  SUMI_CHECK_KIND(kInternal, !bits.empty(), "a watermark without bits");
  const Area area(image.height, image.width);
  for_bands(image.height, [&](int64_t top, int64_t all_rows) {
    const int64_t rows = std::clamp<int64_t>(area.rows - top, 0, all_rows);
    std::vector<ByteYuv> pixels;
    std::vector<double> u;
    for (int64_t i = 0; i < all_rows * image.width; ++i) {
      pixels.emplace_back(image.row(top) + 3 * i);
      if (i / image.width < rows && i % image.width < area.columns) u.push_back(static_cast<double>(pixels.back().u));
    }
    mark(u, top, rows, area, bits);
    size_t next = 0;
    for (int64_t i = 0; i < all_rows * image.width; ++i) {
      ByteYuv& pixel = pixels[static_cast<size_t>(i)];
      // What is beyond a byte wraps round.
      if (i / image.width < rows && i % image.width < area.columns)
        pixel.u = static_cast<uint8_t>(static_cast<int64_t>(u[next++]));
      pixel.to_rgb(image.row(top) + 3 * i);
    }
  });
}

Bits decode_watermark(const Image& image, size_t count) {
  return decode(image, count, [](const uint8_t* rgb) { return static_cast<double>(ByteYuv(rgb).u); });
}

void embed_sdxl_watermark(Tensor& pictures, const Bits& bits) {
  SUMI_CHECK_KIND(kInternal, pictures.rank() == 4 && pictures.dim(3) == 3 && pictures.dtype() == DType::kF32,
                  "pictures are [N,H,W,3] in f32, not {} in {}", pictures.shape().str(), name_of(pictures.dtype()));
  constexpr int64_t kLeastWidth = 256;
  const int64_t height = pictures.dim(1), width = pictures.dim(2);
  if (width < kLeastWidth) return;
  const HostEdit<float> values(pictures);
  for (int64_t n = 0; n < pictures.dim(0); ++n) embed_real(values.data() + n * height * width * 3, height, width, bits);
}

Bits decode_sdxl_watermark(const Image& image, size_t count) {
  return decode(image, count, [](const uint8_t* rgb) { return RealYuv(rgb).u; });
}

int64_t agreeing_bits(const Bits& a, const Bits& b) {
  SUMI_CHECK_KIND(kInternal, a.size() == b.size(), "{} bits are compared with {}", a.size(), b.size());
  int64_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1 : 0;
  return equal;
}

int64_t convincing_bits(int64_t count) {
  constexpr double kChance = 1e-7;
  const auto n = static_cast<double>(count);
  // The chance that exactly `equal` of them agree; summed from the top.
  const auto chance = [&](int64_t equal) {
    const auto k = static_cast<double>(equal);
    return std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) - n * std::log(2.0));
  };
  double sum = 0.0;
  int64_t least = count;
  for (; least > 0; --least) {
    sum += chance(least);
    if (sum >= kChance) break;
  }
  return least + 1;
}

}  // namespace sumi::image
