// A perceptual term that needs nobody's weights.
#pragma once

#include "core/tensor.h"

namespace sumi::train {

// sumi's own multi-scale structural term: how much the edges of two pictures differ. The mean absolute difference of
// their derivatives across, down and along both diagonals (3x3 filters), averaged over the picture itself and three
// times its half; scales of fewer than 8 pixels a side are left out. Pictures [N,H,W,C] in [-1, 1] → [1].
// It stands where LPIPS would; it is not LPIPS, and knows nothing of what things look like.
Tensor structural_term(const Tensor& x, const Tensor& y);

}  // namespace sumi::train
