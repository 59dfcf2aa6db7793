// Several pictures laid out as one.
#pragma once

#include <vector>

#include "image/image.h"

namespace sumi::image {

// torchvision.utils.make_grid: pictures of one size, `per_row` to a row, with `padding` black pixels around each; a
// single picture comes back as it is. The last row may be short; its empty places are black.
Image make_grid(const std::vector<Image>& images, int64_t per_row, int64_t padding = 2);

}  // namespace sumi::image
