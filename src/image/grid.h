// Several pictures laid out as one.
#pragma once

#include <vector>

#include "image/image.h"
#include "image/png.h"

namespace sumi::image {

// Grids beyond this many pixels are not made: pictures and grid lie in memory together (384 MB), and larger files are
// not read.
inline constexpr int64_t kMostGridPixels = kMaxPixels;

struct GridSize {
  int64_t width, height;
  bool can_be_made() const { return width <= kMostGridPixels / height; }
};

// The size of make_grid's result for `count` pictures as large as `first`.
GridSize grid_size(int64_t count, const Image& first, int64_t per_row, int64_t padding = 2);

// torchvision.utils.make_grid: pictures of one size, `per_row` to a row, with `padding` black pixels around each; a
// single picture is returned unchanged. The last row may be short; its empty places are black.
Image make_grid(const std::vector<Image>& images, int64_t per_row, int64_t padding = 2);

}  // namespace sumi::image
