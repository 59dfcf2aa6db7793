// How a large picture is decoded in parts: where in the decoder tiles begin, and how large they are.
#pragma once

#include <vector>

#include "models/autoencoder.h"
#include "models/config.h"
#include "models/tile_sides.h"

namespace sumi::models {

struct TilePlan {
  size_t level;      // of the decoder (0: the full resolution) at whose input tiles begin
  int64_t factor;    // pixels of the picture per pixel of that input, on each side
  int64_t own;       // maximum side of a tile without its halo, in pixels there
  int64_t halo;      // pixels around a tile that its result depends on, from the layers
  int64_t channels;  // that enter the level
};

// For a latent of height × width: the highest resolution whose whole input, and tiles whose largest activation, take no
// more than `budget` bytes; lower levels, and levels with attention, always see the whole picture.
TilePlan plan_tiles(const AutoencoderConfig& config, int64_t height, int64_t width, int64_t budget);

// A side of that level in the plan's tiles.
inline std::vector<TileSide> cut(int64_t size, const TilePlan& plan, bool wraps = false) {
  return cut(size, plan.own, plan.halo, wraps);
}

}  // namespace sumi::models
