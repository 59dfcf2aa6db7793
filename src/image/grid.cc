#include "image/grid.h"

#include <algorithm>

#include "base/check.h"

namespace sumi::image {

GridSize grid_size(int64_t count, const Image& first, int64_t per_row, int64_t padding) {
  SUMI_CHECK(count >= 1, "a grid needs a picture");
  SUMI_CHECK_KIND(kUsage, per_row >= 1, "a grid has at least one picture in a row, not {}", per_row);
  if (count == 1) return {first.width, first.height};
  const int64_t columns = std::min(per_row, count);
  const int64_t rows = (count + columns - 1) / columns;
  return {columns * (first.width + padding) + padding, rows * (first.height + padding) + padding};
}

Image make_grid(const std::vector<Image>& images, int64_t per_row, int64_t padding) {
  const int64_t count = static_cast<int64_t>(images.size());
  SUMI_CHECK(count >= 1, "a grid needs a picture");
  const Image& first = images.front();
  const GridSize size = grid_size(count, first, per_row, padding);
  if (count == 1) return first;
  const int64_t columns = std::min(per_row, count);
  const int64_t cell_width = first.width + padding;
  const int64_t cell_height = first.height + padding;
  Image grid(size.width, size.height, first.channels);
  for (int64_t i = 0; i < count; ++i) {
    const Image& image = images[static_cast<size_t>(i)];
    SUMI_CHECK(image.width == first.width && image.height == first.height && image.channels == first.channels,
               "pictures of a grid have one size; picture {} is {}x{}, the first {}x{}", i, image.width, image.height,
               first.width, first.height);
    const int64_t left = (i % columns) * cell_width + padding;
    const int64_t top = (i / columns) * cell_height + padding;
    for (int64_t y = 0; y < image.height; ++y) {
      std::copy_n(image.row(y), image.width * image.channels, grid.row(top + y) + left * image.channels);
    }
  }
  return grid;
}

}  // namespace sumi::image
