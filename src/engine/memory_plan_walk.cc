#include "engine/memory_plan_walk.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "models/autoencoder_kl/tiles.h"
#include "models/taesd/taesd.h"
#include "models/tile_sides.h"
#include "models/unet/topology.h"

namespace sumi::engine {
namespace {

constexpr int64_t kFloat = 4;

// Sizes saturate instead of wrapping: beyond this no picture fits.
int64_t bytes_of(int64_t batch, int64_t height, int64_t width, int64_t channels) {
  constexpr double kMost = 1e16;  // leaves room for the sums
  const double bytes = static_cast<double>(batch) * static_cast<double>(height) * static_cast<double>(width) *
                       static_cast<double>(channels) * kFloat;
  return bytes < kMost ? static_cast<int64_t>(bytes) : static_cast<int64_t>(kMost);
}

// Follows the UNet block by block.
class UNetWalk {
 public:
  UNetWalk(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width, DType activations)
      : topology_(models::make_topology(config)),
        batch_(batch),
        height_(height),
        width_(width),
        narrow_(activations != DType::kF32) {}

  int64_t peak() {
    way_down();
    for (const models::BlockPlan& block : topology_.output_blocks) up(block);
    note(3 * size(topology_.output_blocks.back().layers.back().out));  // the last norm, its input and the output
    return peak_;
  }

  // Of the way down alone, as a ControlNet has it: its residuals are as large as the skips, and kept instead.
  int64_t peak_down() {
    way_down();
    return peak_;
  }
  int64_t kept_down() {
    way_down();
    return (skip_bytes_ + size(topology_.middle.layers.back().out)) / (narrow_ ? 2 : 1);
  }

 private:
  void way_down() {
    for (const models::BlockPlan& block : topology_.input_blocks) down(block);
    for (const models::LayerPlan& layer : topology_.middle.layers) work(layer);
  }

  int64_t size(int64_t channels) const { return bytes_of(batch_, height_, width_, channels); }
  void note(int64_t working) {
    peak_ = std::max(peak_, narrow_ ? skip_bytes_ / 2 + with_float_copies(working) : skip_bytes_ + working);
  }

  // `held` is what the caller of the layer keeps meanwhile.
  void work(const models::LayerPlan& layer, int64_t held = 0) {
    using Kind = models::LayerPlan::Kind;
    if (layer.resample == models::Resample::kNone && layer.kind == Kind::kResBlock) {
      // Input, normed input and first convolution; or input, shortcut, normed middle and output.
      note(size(layer.in) + std::max(size(layer.in) + size(layer.out), 3 * size(layer.out)));
    }
    // At the feed-forward: the skip and its norm, the tokens and theirs, the gated product (4C); the attention holds as
    // many: q, k, v and the result.
    if (layer.attends()) note(held + size(layer.out) * (layer.kind == Kind::kTransformer ? 8 : 7));
  }

  void down(const models::BlockPlan& block) {
    if (block.resamples()) {
      sizes_.emplace_back(height_, width_);
      height_ = (height_ + 1) / 2;
      width_ = (width_ + 1) / 2;
    }
    for (const models::LayerPlan& layer : block.layers) work(layer);
    skip_sizes_.push_back(size(block.skip));
    skip_bytes_ += skip_sizes_.back();
  }

  void up(const models::BlockPlan& block) {
    const int64_t joined = block.layers.front().in;
    note(size(joined - block.skip) + size(joined));
    skip_bytes_ -= skip_sizes_.back();
    skip_sizes_.pop_back();
    for (const models::LayerPlan& layer : block.layers) {
      work(layer, size(joined));  // the UNet keeps the block's input until the block is done
      if (layer.resample == models::Resample::kNone) continue;
      std::tie(height_, width_) = sizes_.back();
      sizes_.pop_back();
      note(2 * size(layer.out) + size(layer.out) / 4);  // the doubled picture, its convolution, what was doubled
    }
  }

  models::UNetTopology topology_;
  int64_t batch_, height_, width_;
  bool narrow_;                                     // activations of two bytes
  std::vector<std::pair<int64_t, int64_t>> sizes_;  // of the levels above
  std::vector<int64_t> skip_sizes_;
  int64_t skip_bytes_ = 0;
  int64_t peak_ = 0;
};

}  // namespace

int64_t with_float_copies(int64_t float_bytes) { return float_bytes / 2 * 3; }

int64_t unet_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width, DType activations) {
  return UNetWalk(config, batch, height, width, activations).peak();
}

int64_t control_residual_bytes(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width,
                               DType activations) {
  return UNetWalk(config, batch, height, width, activations).kept_down();
}

int64_t control_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width,
                     DType activations) {
  return UNetWalk(config, batch, height, width, activations).peak_down();
}

int64_t context_bytes(const models::UNetConfig& config, int64_t batch, int64_t tokens, DType activations) {
  if (config.context_dim == 0) return 0;
  const models::UNetTopology topology = models::make_topology(config);
  int64_t kept = 0;
  const auto add = [&](const models::BlockPlan& block) {
    if (const models::LayerPlan* layer = block.attention()) kept += 2 * layer->out * layer->depth;  // keys and values
  };
  for (const models::BlockPlan& block : topology.input_blocks) add(block);
  add(topology.middle);
  for (const models::BlockPlan& block : topology.output_blocks) add(block);
  const int64_t sequence = bytes_of(batch, tokens, 1, config.context_dim);  // stays f32
  const int64_t keys_values = bytes_of(batch, tokens, 1, kept);
  return sequence + (activations == DType::kF32 ? keys_values : keys_values / 2);
}

namespace {

// What the decoder holds from its start, or the start of level `first`, to the end of level `last`.
int64_t levels_peak(const models::AutoencoderConfig& c, size_t first, size_t last, int64_t channels, int64_t height,
                    int64_t width) {
  int64_t peak = 0;
  const auto size = [&](int64_t width_of) { return bytes_of(1, height, width, width_of); };
  for (size_t level = first + 1; level-- > last;) {
    const int64_t out = c.ch * c.ch_mult[level];
    // Input, shortcut, first convolution (norms work in place); or shortcut, normed middle, output.
    peak = std::max(peak, 2 * size(out) + std::max(size(channels), size(out)));
    channels = out;
    if (level == 0) return std::max(peak, 2 * size(channels) + size(c.out_channels));
    height *= 2;
    width *= 2;
    peak = std::max(peak, 2 * size(channels));  // doubled picture and its convolution
  }
  return peak;
}

// Of the middle's attention: skip, norm, q, k, v, result, projection.
int64_t middle_peak(const models::AutoencoderConfig& c, int64_t height, int64_t width) {
  return 7 * bytes_of(1, height, width, c.ch * c.ch_mult.back());
}

}  // namespace

int64_t decoder_peak(const models::AutoencoderConfig& c, int64_t height, int64_t width) {
  return std::max(middle_peak(c, height, width),
                  levels_peak(c, c.ch_mult.size() - 1, 0, c.ch * c.ch_mult.back(), height, width));
}

int64_t encoder_peak(const models::AutoencoderConfig& c, int64_t height, int64_t width) {
  const int64_t f = c.downsampling();
  const int64_t picture = bytes_of(1, height * f, width * f, c.in_channels);  // the caller's
  int64_t peak = 0, channels = c.ch, scale = f;
  const auto size = [&](int64_t of) { return bytes_of(1, height * scale, width * scale, of); };
  for (size_t level = 0; level < c.ch_mult.size(); ++level) {
    const int64_t out = c.ch * c.ch_mult[level];
    peak = std::max(peak, 2 * size(out) + std::max(size(channels), size(out)));  // as in levels_peak
    channels = out;
    if (level + 1 == c.ch_mult.size()) break;
    peak = std::max(peak, size(out) + size(out) / 4);
    scale /= 2;
  }
  return picture + std::max(peak, middle_peak(c, height, width));
}

int64_t tiled_decoder_peak(const models::AutoencoderConfig& c, int64_t height, int64_t width) {
  const models::TilePlan plan = models::plan_tiles(c, height, width, models::kTileBudget);
  const size_t top = c.ch_mult.size() - 1;
  int64_t head = middle_peak(c, height, width);
  if (plan.level < top)
    head = std::max(head, levels_peak(c, top, plan.level + 1, c.ch * c.ch_mult.back(), height, width));
  const int64_t scale = c.downsampling() / plan.factor, side = plan.own + 2 * plan.halo;
  const int64_t tile_h = std::min(side, height * scale), tile_w = std::min(side, width * scale);
  const int64_t kept = bytes_of(1, height * scale, width * scale, plan.channels) +
                       bytes_of(1, height * c.downsampling(), width * c.downsampling(), c.out_channels);
  return std::max(head, kept + levels_peak(c, plan.level, 0, plan.channels, tile_h, tile_w) +
                            bytes_of(1, tile_h, tile_w, plan.channels));
}

namespace {

constexpr int64_t kPicture = 3;  // channels

// Of a block: its input, what a convolution reads and what it writes.
int64_t tiny_block_peak(const models::TaesdConfig& c, int64_t height, int64_t width) {
  return 3 * bytes_of(1, height, width, c.width);
}

// The side of the largest tile with its border, in pixels of the picture; where it wraps, all have their border on both
// sides.
int64_t longest_tile(int64_t size, const models::TaesdTiles& plan) {
  int64_t longest = 0;
  for (const models::TileSide& side : models::cut(size, plan.own, plan.border, /*wraps=*/true))
    longest = std::max(longest, side.to - side.from);
  return longest * plan.factor;
}

}  // namespace

int64_t tiny_decoder_peak(const models::TaesdConfig& c, int64_t height, int64_t width) {
  const int64_t f = models::TaesdConfig::kDownsampling;
  return tiny_block_peak(c, height * f, width * f);  // of the last one
}

int64_t tiny_encoder_peak(const models::TaesdConfig& c, int64_t height, int64_t width) {
  const int64_t f = models::TaesdConfig::kDownsampling;
  const int64_t picture = bytes_of(1, height * f, width * f, kPicture);  // the caller's, and in the other range
  return 2 * picture + tiny_block_peak(c, height * f, width * f);
}

int64_t tiny_tiled_decoder_peak(const models::TaesdConfig& c, int64_t height, int64_t width, int64_t budget) {
  const models::TaesdTiles plan = models::plan_taesd_tiles(c, height, width, budget);
  const int64_t f = models::TaesdConfig::kDownsampling, scale = f / plan.factor;
  const int64_t input = bytes_of(1, height * scale, width * scale, c.width);
  const int64_t head = 2 * input + input / 4;  // doubled, its convolution, what was doubled
  const int64_t tile_h = longest_tile(height * scale, plan), tile_w = longest_tile(width * scale, plan);
  const int64_t picture = bytes_of(1, height * f, width * f, kPicture);
  return std::max(head, input + picture + tiny_block_peak(c, tile_h, tile_w));
}

}  // namespace sumi::engine
