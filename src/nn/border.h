// How many pixels around itself a part of a picture depends on.
//
// Layers that look at their neighbours say how far, by border(). A network sums these from its last layer back to its
// first, in pixels of the result of each layer; where the size changes, the unit does. A tile with that border on every
// side is computed as it would be in the whole picture.
#pragma once

#include <cstdint>

namespace sumi::nn {

// The border in pixels of the input of a layer that enlarges by a whole factor, given that in pixels of its result.
// Tiles begin between pixels of the input.
constexpr int64_t border_before_enlarging(int64_t border, int64_t factor = 2) { return (border + factor - 1) / factor; }

// The same for a layer that makes one pixel of factor × factor.
constexpr int64_t border_before_reducing(int64_t border, int64_t factor) { return border * factor; }

}  // namespace sumi::nn
