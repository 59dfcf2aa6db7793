#include "image/resize.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/parallel.h"
#include "base/text_util.h"

namespace sumi::image {
namespace {

constexpr std::array<std::string_view, 6> kNames{"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(M_PI * x) / (M_PI * x); }

// In input pixels, to each side, where the picture does not shrink.
double reach_of(Filter filter) {
  switch (filter) {
    case Filter::kNearest:
    case Filter::kBox: return 0.5;
    case Filter::kBilinear:
    case Filter::kHamming: return 1.0;
    case Filter::kBicubic: return 2.0;
    case Filter::kLanczos: return 3.0;
  }
  return 0.0;
}

double cubic(double x) {
  constexpr double kA = -0.5;
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * kA;
  return 0.0;
}

double weight(Filter filter, double x) {
  if (filter == Filter::kBox) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  x = std::fabs(x);
  if (x >= reach_of(filter)) return 0.0;
  switch (filter) {
    case Filter::kBilinear: return 1.0 - x;
    case Filter::kHamming: return x == 0.0 ? 1.0 : sinc(x) * (0.54 + 0.46 * std::cos(M_PI * x));
    case Filter::kBicubic: return cubic(x);
    case Filter::kLanczos: return sinc(x) * sinc(x / 3.0);
    default: return 1.0;
  }
}

// Which input pixels make an output pixel, and with what weights: integers, 2^22 is 1. The sum of up to 255 times
// weights that add to 1 stays in 32 bits with the negative lobes of every filter.
constexpr int kWeightBits = 22;
struct Taps {
  int64_t first;
  std::vector<int32_t> weights;
};

// Pixels [from, to) of a side.
struct Span {
  int64_t from, to;
  int64_t length() const { return to - from; }
};

// Of the part `part` of the output pixels.
std::vector<Taps> taps_of(int64_t in, int64_t out, const Span& part, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(1.0, scale);
  const double reach = reach_of(filter) * stretch, shrink = 1.0 / stretch;
  std::vector<Taps> all;
  std::vector<double> weights;
  for (int64_t i = part.from; i < part.to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - reach + 0.5));
    const auto last = std::min<int64_t>(in, static_cast<int64_t>(center + reach + 0.5));
    weights.clear();
    double sum = 0.0;
    for (int64_t j = first; j < last; ++j) {
      weights.push_back(weight(filter, (static_cast<double>(j) - center + 0.5) * shrink));
      sum += weights.back();
    }
    if (sum == 0.0) sum = 1.0;
    Taps taps{first, {}};
    for (const double w : weights)
      taps.weights.push_back(static_cast<int32_t>(std::round(w / sum * (1 << kWeightBits))));
    all.push_back(std::move(taps));
  }
  return all;
}

// The input pixels that the taps need.
Span needed_by(const std::vector<Taps>& taps) {
  Span needed{taps.front().first, taps.front().first};
  for (const Taps& t : taps) {
    needed.from = std::min(needed.from, t.first);
    needed.to = std::max(needed.to, t.first + static_cast<int64_t>(t.weights.size()));
  }
  return needed;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp((sum + (1 << (kWeightBits - 1))) >> kWeightBits, 0, 255));
}

// One row of pixels; the number of channels is known to the compiler, which keeps the sums in registers.
template <int kChannels> void resize_row(const uint8_t* from, uint8_t* to, const std::vector<Taps>& taps) {
  for (const Taps& t : taps) {
    const uint8_t* pixel = from + t.first * kChannels;
    std::array<int32_t, kChannels> sums{};
    for (const int32_t w : t.weights) {
      for (int c = 0; c < kChannels; ++c) sums[static_cast<size_t>(c)] += w * pixel[c];
      pixel += kChannels;
    }
    for (const int32_t sum : sums) *to++ = to_byte(sum);
  }
}

// The rows `rows` of the picture, resized.
Image resize_rows(const Image& image, const Span& rows, const std::vector<Taps>& taps) {
  const auto one_row = image.channels == 1   ? resize_row<1>
                       : image.channels == 2 ? resize_row<2>
                       : image.channels == 3 ? resize_row<3>
                                             : resize_row<4>;
  Image out(static_cast<int64_t>(taps.size()), rows.length(), image.channels);
  parallel_for(rows.length(), [&](int64_t y) { one_row(image.row(rows.from + y), out.row(y), taps); });
  return out;
}

// The columns `columns` of the picture, resized. Its first row is row `top` of what the taps speak of.
Image resize_columns(const Image& image, int64_t top, const Span& columns, const std::vector<Taps>& taps) {
  Image out(columns.length(), static_cast<int64_t>(taps.size()), image.channels);
  const int64_t row = columns.length() * image.channels, stride = image.width * image.channels;
  parallel_for(out.height, [&](int64_t y) {
    const Taps& t = taps[static_cast<size_t>(y)];
    std::vector<int32_t> sums(static_cast<size_t>(row));
    const uint8_t* from = image.row(t.first - top) + columns.from * image.channels;
    for (const int32_t w : t.weights) {
      for (int64_t i = 0; i < row; ++i) sums[static_cast<size_t>(i)] += w * from[i];
      from += stride;
    }
    std::transform(sums.begin(), sums.end(), out.row(y), to_byte);
  });
  return out;
}

// The input pixel of each output pixel in `part`. The places are summed step by step, as PIL does: a product would
// round to another pixel where a place falls on the border of two. Beyond kMostSteps, which is more than a side of a
// whole picture can have, the sum would take seconds, and begins at a product.
std::vector<int64_t> nearest_pixels(int64_t in, int64_t out, const Span& part) {
  constexpr int64_t kMostSteps = 1 << 26;
  const double step = static_cast<double>(in) / static_cast<double>(out);
  std::vector<int64_t> pixels;
  int64_t i = part.from > kMostSteps ? part.from : 0;
  double place = (static_cast<double>(i) + 0.5) * step;
  for (; i < part.to; ++i, place += step) {
    if (i >= part.from) pixels.push_back(std::min(static_cast<int64_t>(place), in - 1));
  }
  return pixels;
}

Image pick(const Image& image, const std::vector<int64_t>& columns, const std::vector<int64_t>& rows) {
  Image out(static_cast<int64_t>(columns.size()), static_cast<int64_t>(rows.size()), image.channels);
  parallel_for(out.height, [&](int64_t y) {
    const uint8_t* from = image.row(rows[static_cast<size_t>(y)]);
    uint8_t* to = out.row(y);
    for (const int64_t x : columns) to = std::copy_n(from + x * image.channels, image.channels, to);
  });
  return out;
}

void check_sizes(const Image& image, int64_t width, int64_t height) {
  SUMI_CHECK(width > 0 && height > 0 && image.width > 0 && image.height > 0,
             "a picture of {}x{} cannot become one of {}x{}", image.width, image.height, width, height);
}

struct Size {
  int64_t width, height;
};

// A part of the picture resized to `full`: what crop() would cut out of the whole, without computing the rest, which
// may be thousands of times as large.
Image resized_part(const Image& image, const Size& full, const Span& columns, const Span& rows, Filter filter) {
  const bool same_width = image.width == full.width, same_height = image.height == full.height;
  if (same_width && same_height) return crop(image, columns.from, rows.from, columns.length(), rows.length());
  if (filter == Filter::kNearest)
    return pick(image, nearest_pixels(image.width, full.width, columns),
                nearest_pixels(image.height, full.height, rows));
  const auto across = [&] { return taps_of(image.width, full.width, columns, filter); };
  if (same_height) return resize_rows(image, rows, across());
  const std::vector<Taps> down = taps_of(image.height, full.height, rows, filter);
  if (same_width) return resize_columns(image, 0, columns, down);
  const Span needed = needed_by(down);
  return resize_columns(resize_rows(image, needed, across()), needed.from, {0, columns.length()}, down);
}

// The part of width × height that begins at (left, top).
Image cut_out(const Image& image, const Size& full, int64_t left, int64_t top, const Size& part, Filter filter) {
  return resized_part(image, full, {left, left + part.width}, {top, top + part.height}, filter);
}

// The size with the picture's proportions that covers width × height, or fits into it, rounded down.
Size scaled_size(const Image& image, int64_t width, int64_t height, bool covers) {
  const int64_t by_height = image.width * height / image.height, by_width = image.height * width / image.width;
  const bool wider = image.width * height > width * image.height;  // than the place it goes to
  return wider == covers ? Size{by_height, height} : Size{width, by_width};
}

// The line that PIL makes of a cut without extent at a picture's border, with the bicubic filter: 9/8 of the outermost
// line less 1/8 of the next one, which goes on as the picture does.
constexpr int32_t kOutermost = 9, kNext = -1, kShares = 8;
uint8_t beyond(uint8_t outermost, uint8_t next) {
  const int32_t sum = kOutermost * outermost + kNext * next;
  return static_cast<uint8_t>(std::clamp((sum + kShares / 2) >> 3, 0, 255));
}

// Columns [begin, end) of each row are set to what lies beyond column `edge`, whose neighbour inside is `inside`.
void fill_columns(Image& image, int64_t begin, int64_t end, int64_t edge, int64_t inside) {
  const int64_t channels = image.channels;
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* row = image.row(y);
    for (int64_t c = 0; c < channels; ++c) {
      const uint8_t value = beyond(row[edge * channels + c], row[inside * channels + c]);
      for (int64_t x = begin; x < end; ++x) row[x * channels + c] = value;
    }
  }
}

void fill_rows(Image& image, int64_t begin, int64_t end, int64_t edge, int64_t inside) {
  const int64_t count = image.width * image.channels;
  for (int64_t y = begin; y < end; ++y)
    std::transform(image.row(edge), image.row(edge) + count, image.row(inside), image.row(y), beyond);
}

// In the middle of width × height, one of whose sides the picture has.
Image filled_around(const Image& image, int64_t width, int64_t height) {
  Image out(width, height, image.channels);
  const int64_t left = width / 2 - image.width / 2, top = height / 2 - image.height / 2;
  for (int64_t y = 0; y < image.height; ++y)
    std::copy_n(image.row(y), image.width * image.channels, out.row(top + y) + left * image.channels);
  const int64_t right = left + image.width, bottom = top + image.height;
  fill_columns(out, 0, left, left, std::min(left + 1, right - 1));
  fill_columns(out, right, width, right - 1, std::max(right - 2, left));
  fill_rows(out, 0, top, top, std::min(top + 1, bottom - 1));
  fill_rows(out, bottom, height, bottom - 1, std::max(bottom - 2, top));
  return out;
}

}  // namespace

std::optional<Filter> find_filter(const std::string& name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto found = std::find(kNames.begin(), kNames.end(), lower);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Filter>(found - kNames.begin());
}

Filter filter_of(const std::string& name) {
  const std::optional<Filter> filter = find_filter(name);
  SUMI_CHECK_KIND(kUsage, filter, "the filter must be one of {}, not {}", kFilterNames, excerpt(name));
  return *filter;
}

Fit fit_of(const std::string& name) {
  if (name == "stretch") return Fit::kStretch;
  if (name == "crop") return Fit::kCrop;
  SUMI_CHECK_KIND(kUsage, name == "fill", "`resize` must be stretch, crop or fill, not {}", excerpt(name));
  return Fit::kFill;
}

Image resize(const Image& image, int64_t width, int64_t height, Filter filter) {
  check_sizes(image, width, height);
  if (image.width == width && image.height == height) return image;
  return resized_part(image, {width, height}, {0, width}, {0, height}, filter);
}

Image crop(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height) {
  SUMI_CHECK_KIND(kInternal, left >= 0 && top >= 0 && left + width <= image.width && top + height <= image.height,
                  "no part {}x{} at {},{} in a picture of {}x{}", width, height, left, top, image.width, image.height);
  Image out(width, height, image.channels);
  for (int64_t y = 0; y < height; ++y)
    std::copy_n(image.row(top + y) + left * image.channels, width * image.channels, out.row(y));
  return out;
}

Image resize_to_cover(const Image& image, int64_t width, int64_t height, Filter filter) {
  check_sizes(image, width, height);
  const double scale = std::max(static_cast<double>(width) / static_cast<double>(image.width),
                                static_cast<double>(height) / static_cast<double>(image.height));
  const auto scaled = [&](int64_t side, int64_t least) {
    return std::max(least, static_cast<int64_t>(std::lround(scale * static_cast<double>(side))));
  };
  const Size full{scaled(image.width, width), scaled(image.height, height)};
  return cut_out(image, full, (full.width - width) / 2, (full.height - height) / 2, {width, height}, filter);
}

Image resize_to_fit(const Image& image, int64_t width, int64_t height, Fit fit, Filter filter) {
  check_sizes(image, width, height);
  if (fit == Fit::kStretch || (image.width == width && image.height == height))
    return resize(image, width, height, filter);
  const Size size = scaled_size(image, width, height, fit == Fit::kCrop);
  SUMI_CHECK(size.width > 0 && size.height > 0,
             "a picture of {}x{} is too long and narrow to be fitted into {}x{}; cut it, or stretch it", image.width,
             image.height, width, height);
  if (fit == Fit::kFill) return filled_around(resize(image, size.width, size.height, filter), width, height);
  return cut_out(image, size, size.width / 2 - width / 2, size.height / 2 - height / 2, {width, height}, filter);
}

Image mirrored(const Image& image) {
  Image out(image.width, image.height, image.channels);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x)
      std::copy_n(image.row(y) + (image.width - 1 - x) * image.channels, image.channels,
                  out.row(y) + x * image.channels);
  }
  return out;
}

}  // namespace sumi::image
