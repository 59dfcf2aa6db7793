#include "models/autoencoder_kl/tiles.h"

#include <algorithm>
#include <cmath>

namespace sumi::models {
namespace {

constexpr int64_t kFloat = 4;

bool attends(const AutoencoderConfig& c, size_t level) {
  return std::find(c.attn_resolutions.begin(), c.attn_resolutions.end(), c.resolution >> level) !=
         c.attn_resolutions.end();
}

// Channels that enter a level of the decoder.
int64_t channels_into(const AutoencoderConfig& c, size_t level) {
  return c.ch * c.ch_mult[std::min(level + 1, c.ch_mult.size() - 1)];
}

// Every 3x3 convolution reads one pixel further: two a block, one after each enlargement, one at the end.
int64_t reach(const AutoencoderConfig& c, size_t level) {
  int64_t pixels = 1;
  for (size_t i = 0; i <= level; ++i) {
    if (i > 0) pixels = (pixels + 1 + 1) / 2;
    pixels += 2 * (c.num_res_blocks + 1);
  }
  return pixels;
}

}  // namespace

TilePlan plan_tiles(const AutoencoderConfig& c, int64_t height, int64_t width, int64_t budget) {
  const auto bytes_at = [&](size_t level) {
    const double scale = static_cast<double>(c.downsampling() >> level);
    return static_cast<double>(height * width) * scale * scale * static_cast<double>(channels_into(c, level) * kFloat);
  };
  size_t level = 0;
  while (level + 1 < c.ch_mult.size() && !attends(c, level + 1) && bytes_at(level) > static_cast<double>(budget))
    ++level;
  TilePlan plan{.level = level,
                .factor = int64_t{1} << level,
                .own = 0,
                .halo = reach(c, level),
                .channels = channels_into(c, level)};
  // The full resolution with the channels that enter it is the largest activation of a tile.
  const double side = std::sqrt(static_cast<double>(budget) / static_cast<double>(channels_into(c, 0) * kFloat));
  plan.own = std::max(plan.halo, static_cast<int64_t>(side) / plan.factor - 2 * plan.halo);
  return plan;
}

std::vector<TileSide> cut(int64_t size, const TilePlan& plan) {
  const int64_t count = std::max<int64_t>(1, (size + plan.own - 1) / plan.own);
  std::vector<TileSide> sides;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = size * i / count, end = size * (i + 1) / count;
    sides.push_back({begin, end, std::max<int64_t>(0, begin - plan.halo), std::min(size, end + plan.halo)});
  }
  return sides;
}

}  // namespace sumi::models
