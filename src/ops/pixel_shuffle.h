// Pixels into channels and back.
#pragma once

#include "core/tensor.h"

namespace sumi {

// x [N,H,W,C·f²] → [N,f·H,f·W,C]: channel (c·f + dy)·f + dx of a pixel becomes channel c of the pixel dy below and dx
// to the right of its first one. Any element type; no gradient (Error(kInternal) where a tape records x).
//                                                                                    (Shi et al. 2016)
Tensor pixel_shuffle(const Tensor& x, int64_t factor);

// The inverse: x [N,f·H,f·W,C] → [N,H,W,C·f²]. Throws Error(kInternal) for sides that are no multiples of `factor`.
Tensor pixel_unshuffle(const Tensor& x, int64_t factor);

}  // namespace sumi
