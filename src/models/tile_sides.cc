#include "models/tile_sides.h"

#include <algorithm>

namespace sumi::models {

std::vector<TileSide> cut(int64_t size, int64_t own, int64_t border, bool wraps) {
  const int64_t count = std::max<int64_t>(1, (size + own - 1) / own);
  const bool over_the_edge = wraps && count > 1;
  std::vector<TileSide> sides;
  for (int64_t i = 0; i < count; ++i) {
    TileSide side{.begin = size * i / count, .end = size * (i + 1) / count, .from = 0, .to = 0};
    side.from = over_the_edge ? side.begin - border : std::max<int64_t>(0, side.begin - border);
    side.to = over_the_edge ? side.end + border : std::min(size, side.end + border);
    sides.push_back(side);
  }
  return sides;
}

}  // namespace sumi::models
