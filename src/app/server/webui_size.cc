#include "app/server/webui_size.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "app/server/picture_head.h"
#include "base/base64.h"
#include "base/check.h"

namespace sumi::app {
namespace {

constexpr int64_t kSide = 512, kMultiple = 8;

int64_t round_down(const std::string& called, int64_t side, std::vector<std::string>& warnings) {
  const int64_t rounded = side / kMultiple * kMultiple;
  if (rounded != side)
    warnings.push_back(fmt::format("{} {} is no multiple of {}; {} is drawn", called, side, kMultiple, rounded));
  return rounded;
}

// The factor that makes the one side the other, also once the product is cut to a whole number.
double factor_to(int64_t side, int64_t wanted) {
  const double by = static_cast<double>(wanted) / static_cast<double>(side);
  const bool reaches = static_cast<int64_t>(static_cast<double>(side) * by) >= wanted;
  return reaches ? by : std::nextafter(by, std::numeric_limits<double>::infinity());
}

}  // namespace

WebSize web_size_of(const WebFields& fields, bool image, std::vector<std::string>& warnings) {
  WebSize size;
  size.given_width = fields.whole("width", kMultiple, kMostWebSide);
  size.given_height = fields.whole("height", kMultiple, kMostWebSide);
  const bool sized = image || size.given_width || size.given_height ||
                     fields.whole("hr_resize_x", 0, kMostWebSide).value_or(0) > 0 ||
                     fields.whole("hr_resize_y", 0, kMostWebSide).value_or(0) > 0;
  if (!sized) return size;
  size.given_width = size.given_width.value_or(kSide);
  size.given_height = size.given_height.value_or(kSide);
  size.width = round_down(fields.called("width"), *size.given_width, warnings);
  size.height = round_down(fields.called("height"), *size.given_height, warnings);
  return size;
}

double web_hires_scale(const WebFields& fields, const WebSize& size, std::vector<std::string>& warnings) {
  constexpr double kMostScale = 16.0;
  const double scale = fields.number("hr_scale", 1.0, kMostScale).value_or(2.0);
  const int64_t x = fields.whole("hr_resize_x", 0, kMostWebSide).value_or(0),
                y = fields.whole("hr_resize_y", 0, kMostWebSide).value_or(0);
  if (x == 0 && y == 0) return scale;
  const auto fits = [&](int64_t width, int64_t height) { return x * height == y * width; };
  SUMI_CHECK_KIND(kUsage,
                  x == 0 || y == 0 || fits(*size.width, *size.height) || fits(*size.given_width, *size.given_height),
                  "`hr_resize_x` and `hr_resize_y` must have the proportions of `width` and `height`, {}x{}",
                  *size.given_width, *size.given_height);
  double by = 0.0;
  if (x > 0) by = factor_to(*size.width, round_down("`hr_resize_x`", x, warnings));
  if (y > 0) by = std::max(by, factor_to(*size.height, round_down("`hr_resize_y`", y, warnings)));
  SUMI_CHECK_KIND(kUsage, by >= 1.0 && by <= kMostScale, "`{}` must be from 1 to {:g} times the first pass's side",
                  x > 0 ? "hr_resize_x" : "hr_resize_y", kMostScale);
  return by;
}

std::optional<image::PictureSize> web_picture_size(const std::string& picture) {
  const auto bytes = from_base64(std::string_view(picture).substr(picture.find(',') + 1));
  if (!bytes) return {};
  const auto head = picture_head({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!head || (head->may_be_turned && head->width != head->height)) return {};
  return image::PictureSize{head->width, head->height};
}

}  // namespace sumi::app
