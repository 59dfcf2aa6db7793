// A perceptual term without pretrained weights.
#pragma once

#include "core/tensor.h"

namespace sumi::train {

// sumi's own multi-scale structural term: how much the edges of two pictures differ. The mean absolute difference of
// their derivatives across, down and along both diagonals (3x3 filters), averaged over the full picture and three
// successive halvings; scales of fewer than 8 pixels a side are left out. Pictures [N,H,W,C] in [-1, 1] → [1]. It
// replaces LPIPS where its weights are missing, but it has no learned features.
Tensor structural_term(const Tensor& x, const Tensor& y);

}  // namespace sumi::train
