// Whether a drawn picture is nearer to the picture it should be than to all others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "image/image.h"

namespace sumi::evaluate {

// The picture at 32×32 (bicubic, its middle square), RGB values from 0 to 1 in one row, used for the comparison.
std::vector<float> thumbnail(const image::Image& picture);

// The rank of reference `right` among all by squared distance to `drawn`, 1 for the nearest; on ties, earlier
// references count as nearer.
int64_t place_of(std::span<const float> drawn, const std::vector<std::vector<float>>& references, size_t right);

struct Retrieval {
  int64_t drawn = 0, first = 0, among_five = 0;
  void add(int64_t place);
  double top1() const { return drawn == 0 ? 0.0 : static_cast<double>(first) / static_cast<double>(drawn); }
  double top5() const { return drawn == 0 ? 0.0 : static_cast<double>(among_five) / static_cast<double>(drawn); }
};

}  // namespace sumi::evaluate
