#include "models/autoencoder_kl/tiles.h"

#include <algorithm>
#include <cmath>

#include "models/autoencoder_kl/autoencoder_kl.h"

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
                .halo = VaeDecoder(c).border(level),
                .channels = channels_into(c, level)};
  // The full resolution with the channels that enter it is the largest activation of a tile.
  const double side = std::sqrt(static_cast<double>(budget) / static_cast<double>(channels_into(c, 0) * kFloat));
  plan.own = std::max(plan.halo, static_cast<int64_t>(side) / plan.factor - 2 * plan.halo);
  return plan;
}

}  // namespace sumi::models
