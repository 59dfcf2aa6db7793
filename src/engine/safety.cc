#include "engine/safety.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "image/resize.h"

namespace sumi::engine {
namespace {

// What each value of a channel becomes; in float32, as CLIP's image processor computes.
std::array<std::array<float, 256>, 3> normed_values() {
  std::array<std::array<float, 256>, 3> table{};
  for (size_t c = 0; c < 3; ++c) {
    for (size_t v = 0; v < 256; ++v) {
      const auto fraction = static_cast<float>(static_cast<double>(v) * (1.0 / 255.0));
      table[c][v] = (fraction - models::kClipMean[c]) / models::kClipDeviation[c];
    }
  }
  return table;
}

bool is_intact(const models::SafetyChecker& checker) {
  try {
    checker.file().check_intact();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Image safety_square(const Image& picture, int64_t side) {
  const int64_t shorter = std::min(picture.width, picture.height), longer = std::max(picture.width, picture.height);
  SUMI_CHECK(
      picture.channels == 3 && shorter >= 1 && longer / shorter < kMostSafetyRatio,
      "the safety checker cannot take a picture of {}x{} with {} channels; it must have 3, and its edges must be "
      "within {}:1",
      picture.width, picture.height, picture.channels, kMostSafetyRatio);
  // The longer edge is rounded down.
  const auto scaled = static_cast<int64_t>(static_cast<double>(side * longer) / static_cast<double>(shorter));
  const bool wide = picture.width > picture.height;
  const Image fitted = image::resize(picture, wide ? scaled : side, wide ? side : scaled, image::Filter::kBicubic);
  return image::crop(fitted, (fitted.width - side) / 2, (fitted.height - side) / 2, side, side);
}

Tensor safety_pixels(const std::vector<Image>& squares) {
  SUMI_CHECK_KIND(kInternal, !squares.empty(), "no pictures for the safety checker");
  static const auto table = normed_values();
  std::vector<float> values;
  values.reserve(squares.size() * squares[0].pixels.size());
  for (const Image& square : squares) {
    SUMI_CHECK_KIND(kInternal, square.width == squares[0].width && square.height == squares[0].height,
                    "pictures of several sizes for the safety checker");
    for (size_t i = 0; i < square.pixels.size(); ++i) values.push_back(table[i % 3][square.pixels[i]]);
  }
  return Tensor::from(values, {static_cast<int64_t>(squares.size()), squares[0].height, squares[0].width, 3});
}

models::SafetyReport Safety::check(const Image& picture) const {
  const models::SafetyStates states = checker_.look(safety_pixels({safety_square(picture, checker_.side())}));
  checker_.file().check_intact();
  return checker_.judge(states).front();
}

bool Safety::censor(Image& picture) const {
  const bool flagged = check(picture).flagged;
  if (flagged) std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{0});
  return flagged;
}

std::shared_ptr<const Safety> SafetyCheckers::open(const std::string& path, Device device) {
  const std::lock_guard lock(mutex_);
  std::erase_if(open_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<const Safety>& known = open_[{path, device}];
  if (auto open = known.lock(); open && is_intact(open->checker())) return open;
  auto open = std::make_shared<const Safety>(path, device);
  known = open;
  return open;
}

}  // namespace sumi::engine
