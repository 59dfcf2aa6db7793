// How pictures are cut into tiles that overlap.
#pragma once

#include <cstdint>
#include <vector>

namespace sumi::models {

// One side of a tile: its own stretch [begin, end), and what is computed for it, [from, to).
struct TileSide {
  int64_t begin, end, from, to;
};

// Cuts `size` into equal stretches of at most `own`, each with up to `border` more on either side: as far as the
// picture goes, or, where it wraps and there are several, all of it, from before its first pixel to behind its last.
std::vector<TileSide> cut(int64_t size, int64_t own, int64_t border, bool wraps = false);

}  // namespace sumi::models
