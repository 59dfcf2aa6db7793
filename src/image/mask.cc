#include "image/mask.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/parallel.h"
#include "image/resize.h"

namespace sumi::image {
namespace {

constexpr int kOpaqueFrom = 129;    // of an opacity that becomes a mask
constexpr int kWhiteFrom = 128;     // of a mask that becomes 0 or 1
constexpr double kMostSigma = 256;  // a kernel of 1281 pixels

void check_mask(const Image& mask) {
  SUMI_CHECK_KIND(kInternal, mask.channels == 1, "a mask has one channel, not {}", mask.channels);
}

// PIL's "L": the luma weights of ITU-R BT.601 in 65536ths.
uint8_t brightness(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16);
}

bool is_opaque(const Image& rgba) {
  for (size_t i = 3; i < rgba.pixels.size(); i += 4)
    if (rgba.pixels[i] != 255) return false;
  return true;
}

// Weights in 256ths: what rounding takes from one it gives to the next, and the middle one gets what is left.
constexpr int kOne = 256;
std::vector<int> gaussian_weights(double sigma) {
  const int reach = static_cast<int>(2.5 * sigma + 0.5);
  std::vector<double> exact;
  double sum = 0.0;
  for (int i = -reach; i <= reach; ++i) {
    exact.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
    sum += exact.back();
  }
  std::vector<int> weights(exact.size());
  int left = kOne;
  double carried = 0.0;
  for (size_t i = 0; i < static_cast<size_t>(reach); ++i) {
    const double wanted = exact[i] / sum * kOne + carried;
    const int weight = static_cast<int>(std::nearbyint(wanted));
    carried = wanted - weight;
    weights[i] = weights[weights.size() - 1 - i] = weight;
    left -= 2 * weight;
  }
  weights[static_cast<size_t>(reach)] = left;
  return weights;
}

// Where a place beyond a line of `length` lies in it, mirrored at its first and last pixel as often as need be.
int64_t mirrored_place(int64_t place, int64_t length) {
  if (length == 1) return 0;
  const int64_t period = 2 * (length - 1);
  place = ((place % period) + period) % period;
  return std::min(place, period - place);
}

void add_weighted(std::vector<int>& sums, int weight, const uint8_t* from) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += weight * from[i];
}

void store(const std::vector<int>& sums, uint8_t* to) {
  std::transform(sums.begin(), sums.end(), to, [](int sum) { return static_cast<uint8_t>((sum + kOne / 2) >> 8); });
}

Image soften_rows(const Image& mask, const std::vector<int>& weights) {
  const auto reach = static_cast<int64_t>(weights.size() / 2);
  Image out(mask.width, mask.height, 1);
  parallel_for(mask.height, [&](int64_t y) {
    std::vector<uint8_t> line(static_cast<size_t>(mask.width + 2 * reach));
    for (size_t i = 0; i < line.size(); ++i)
      line[i] = mask.row(y)[mirrored_place(static_cast<int64_t>(i) - reach, mask.width)];
    std::vector<int> sums(static_cast<size_t>(mask.width));
    for (size_t k = 0; k < weights.size(); ++k) add_weighted(sums, weights[k], line.data() + k);
    store(sums, out.row(y));
  });
  return out;
}

Image soften_columns(const Image& mask, const std::vector<int>& weights) {
  const auto reach = static_cast<int64_t>(weights.size() / 2);
  Image out(mask.width, mask.height, 1);
  parallel_for(mask.height, [&](int64_t y) {
    std::vector<int> sums(static_cast<size_t>(mask.width));
    for (size_t k = 0; k < weights.size(); ++k) {
      const int64_t from = mirrored_place(y + static_cast<int64_t>(k) - reach, mask.height);
      add_weighted(sums, weights[k], mask.row(from));
    }
    store(sums, out.row(y));
  });
  return out;
}

// One direction of a region: [begin, end) in [0, limit).
struct Range {
  int64_t begin, end;
  int64_t length() const { return end - begin; }
};

// `range` made longer by `more`, half to each side, within [0, limit).
Range widened(Range range, int64_t more, int64_t limit) {
  range.begin -= more / 2;
  range.end += more - more / 2;
  const int64_t back = std::max<int64_t>(0, range.end - limit);
  range = {range.begin - back, range.end - back};
  const int64_t forth = std::max<int64_t>(0, -range.begin);
  range = {range.begin + forth, range.end + forth};
  return {range.begin, std::min(range.end, limit)};
}

}  // namespace

Image mask_of(const Image& picture) {
  if (picture.channels == 1) return picture;
  SUMI_CHECK_KIND(kInternal, picture.channels == 3 || picture.channels == 4, "a picture of {} channels is no mask",
                  picture.channels);
  const bool by_opacity = picture.channels == 4 && !is_opaque(picture);
  Image out(picture.width, picture.height, 1);
  const uint8_t* from = picture.pixels.data();
  for (uint8_t& value : out.pixels) {
    value = by_opacity ? static_cast<uint8_t>(from[3] >= kOpaqueFrom ? 255 : 0) : brightness(from);
    from += picture.channels;
  }
  return out;
}

Image read_mask(const FilePart& part, const std::string& name) {
  return decode_mask(read_file(part), name.empty() ? part.path.string() : name);
}

Image decode_mask(const std::vector<std::byte>& bytes, const std::string& name) {
  return mask_of(decode_picture(bytes, name, std::nullopt));
}

Image inverted(const Image& mask) {
  Image out = mask;
  for (uint8_t& value : out.pixels) value = static_cast<uint8_t>(255 - value);
  return out;
}

Image soften(const Image& mask, double sigma) {
  check_mask(mask);
  SUMI_CHECK_KIND(kUsage, sigma <= kMostSigma, "a mask is softened by at most {} pixels, not {}", kMostSigma, sigma);
  if (!(sigma > 0.0)) return mask;
  const std::vector<int> weights = gaussian_weights(sigma);
  return soften_columns(soften_rows(mask, weights), weights);
}

std::optional<Box> box_of(const Image& mask) {
  check_mask(mask);
  int64_t left = mask.width, right = 0, top = mask.height, bottom = 0;
  for (int64_t y = 0; y < mask.height; ++y) {
    const uint8_t *row = mask.row(y), *end = row + mask.width;
    const auto is_set = [](uint8_t value) { return value != 0; };
    const uint8_t* first = std::find_if(row, end, is_set);
    if (first == end) continue;
    const uint8_t* last = end;
    while (last[-1] == 0) --last;
    left = std::min<int64_t>(left, first - row);
    right = std::max<int64_t>(right, last - row);
    top = std::min(top, y);
    bottom = y + 1;
  }
  if (right == 0) return std::nullopt;
  return Box{left, top, right - left, bottom - top};
}

Box region_around(const Box& box, const RegionSizes& s) {
  SUMI_CHECK_KIND(kInternal, box.width > 0 && box.height > 0 && s.width > 0 && s.height > 0, "an empty region");
  Range x{std::max<int64_t>(0, box.left - s.padding), std::min(s.picture_width, box.left + box.width + s.padding)};
  Range y{std::max<int64_t>(0, box.top - s.padding), std::min(s.picture_height, box.top + box.height + s.padding)};
  const double drawn = static_cast<double>(s.width) / static_cast<double>(s.height);
  const auto width = static_cast<double>(x.length()), height = static_cast<double>(y.length());
  if (width / height > drawn) {
    y = widened(y, static_cast<int64_t>(width / drawn - height), s.picture_height);
  } else {
    x = widened(x, static_cast<int64_t>(height * drawn - width), s.picture_width);
  }
  return {x.begin, y.begin, x.length(), y.length()};
}

std::vector<float> shrink_mask(const Image& mask, int64_t width, int64_t height, MaskShrink how) {
  check_mask(mask);
  std::vector<float> points;
  const auto add = [&](uint8_t value) { points.push_back(value >= kWhiteFrom ? 1.0f : 0.0f); };
  if (how == MaskShrink::kRounded) {
    for (const uint8_t value : resize(mask, width, height, Filter::kBicubic).pixels) add(value);
    return points;
  }
  SUMI_CHECK(width > 0 && height > 0, "a mask of {}x{} cannot become one of {}x{}", mask.width, mask.height, width,
             height);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) add(mask.row(y * mask.height / height)[x * mask.width / width]);
  return points;
}

}  // namespace sumi::image
