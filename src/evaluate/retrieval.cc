#include "evaluate/retrieval.h"

#include "base/check.h"
#include "image/resize.h"

namespace sumi::evaluate {

std::vector<float> thumbnail(const image::Image& picture) {
  constexpr int64_t kSide = 32;
  const image::Image small = image::resize_to_cover(picture, kSide, kSide);
  std::vector<float> out;
  out.reserve(small.pixels.size());
  for (const uint8_t value : small.pixels) out.push_back(static_cast<float>(value) / 255.0f);
  return out;
}

int64_t place_of(std::span<const float> drawn, const std::vector<std::vector<float>>& references, size_t right) {
  const auto distance = [&](const std::vector<float>& reference) {
    SUMI_CHECK_KIND(kInternal, reference.size() == drawn.size(), "thumbnails of {} and {} values", drawn.size(),
                    reference.size());
    double sum = 0.0;
    for (size_t i = 0; i < drawn.size(); ++i) {
      const double difference = double{drawn[i]} - double{reference[i]};
      sum += difference * difference;
    }
    return sum;
  };
  const double own = distance(references.at(right));
  int64_t place = 1;
  for (size_t i = 0; i < references.size(); ++i) {
    if (i == right) continue;
    const double other = distance(references[i]);
    place += other < own || (other == own && i < right) ? 1 : 0;
  }
  return place;
}

void Retrieval::add(int64_t place) {
  ++drawn;
  first += place == 1 ? 1 : 0;
  among_five += place <= 5 ? 1 : 0;
}

}  // namespace sumi::evaluate
