// Converts between the engine's pictures (float, [-1, 1]) and 8-bit ones.
#pragma once

#include <vector>

#include "core/tensor.h"
#include "image/image.h"

namespace sumi::image {

// Pictures [N,H,W,3] f32 in [-1, 1] → 8 bits, as the original has it: clamp((x+1)/2, 0, 1) * 255, truncated, not
// rounded. Throws Error(kInternal) where a value is not a number: a broken model must not become a silent black
// picture.
std::vector<Image> to_images(const Tensor& pictures);

// 8-bit pictures of one size → [N,H,W,3] f32 in [-1, 1], on the host: 2 * x / 255 - 1.
Tensor from_images(const std::vector<Image>& images);

}  // namespace sumi::image
