// How a large picture is decoded in parts: where in the decoder tiles begin, and how large they are.
#pragma once

#include <vector>

#include "models/config.h"

namespace sumi::models {

// A tile's activations take about three times as much.
inline constexpr int64_t kTileBudget = 300'000'000;

struct TilePlan {
  size_t level;      // of the decoder (0: the full resolution) at whose input tiles begin
  int64_t factor;    // pixels of the picture per pixel of that input, on each side
  int64_t own;       // maximum side of a tile without its halo, in pixels there
  int64_t halo;      // pixels around a tile that its result depends on
  int64_t channels;  // that enter the level
};

// For a latent of height × width: the highest resolution whose whole input, and tiles whose largest activation, take no
// more than `budget` bytes; lower levels, and levels with attention, always see the whole picture.
TilePlan plan_tiles(const AutoencoderConfig& config, int64_t height, int64_t width, int64_t budget);

// One side of a tile: its own stretch [begin, end), and what is computed for it, [from, to).
struct TileSide {
  int64_t begin, end, from, to;
};

// Cuts `size` into equal stretches of at most plan.own, each with up to plan.halo more on either side.
std::vector<TileSide> cut(int64_t size, const TilePlan& plan);

}  // namespace sumi::models
