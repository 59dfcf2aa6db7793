#include "pipeline/memory_plan_walk.h"

#include <algorithm>
#include <vector>

#include "models/autoencoder_kl/tiles.h"

namespace sumi::pipeline {
namespace {

constexpr int64_t kFloat = 4;

// Sizes saturate: a picture too large to count is too large.
int64_t bytes_of(int64_t batch, int64_t height, int64_t width, int64_t channels) {
  constexpr double kMost = 1e16;  // leaves room for the sums
  const double bytes = static_cast<double>(batch) * static_cast<double>(height) * static_cast<double>(width) *
                       static_cast<double>(channels) * kFloat;
  return bytes < kMost ? static_cast<int64_t>(bytes) : static_cast<int64_t>(kMost);
}

class UNetWalk {
 public:
  UNetWalk(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width)
      : c_(config), batch_(batch), height_(height), width_(width) {}

  int64_t peak() {
    channels_ = c_.model_channels;
    push_skip();
    for (size_t level = 0; level < c_.channel_mult.size(); ++level) down(level);
    res_block(channels_, channels_);
    attention(channels_);
    res_block(channels_, channels_);
    for (size_t level = c_.channel_mult.size(); level-- > 0;) up(level);
    note(3 * size(channels_));  // the last norm, its input and the output
    return peak_;
  }

  int64_t attended() {
    peak();
    return attended_;
  }

 private:
  int64_t size(int64_t channels) const { return bytes_of(batch_, height_, width_, channels); }
  void note(int64_t working) { peak_ = std::max(peak_, skip_bytes_ + working); }
  void push_skip() {
    skips_.push_back(channels_);
    skip_sizes_.push_back(size(channels_));
    skip_bytes_ += skip_sizes_.back();
  }

  // Input, normed input and first convolution; or input, shortcut, normed middle and output.
  void res_block(int64_t in, int64_t out) { note(size(in) + std::max(size(in) + size(out), 3 * size(out))); }

  // At the feed-forward: the skip and its norm, the tokens and theirs, the gated product (4C); at the attention as
  // many: q, k, v and the result. On the way up also the block's input, `held`, which its caller keeps.
  void attention(int64_t channels, int64_t held = 0) {
    attended_ += channels;
    note(size(held) + size(channels) * (c_.use_spatial_transformer ? 8 : 7));
  }

  bool attends(int64_t downsampling) const {
    return std::find(c_.attention_resolutions.begin(), c_.attention_resolutions.end(), downsampling) !=
           c_.attention_resolutions.end();
  }

  int64_t blocks(size_t level) const {
    return c_.num_res_blocks.size() == 1 ? c_.num_res_blocks[0] : c_.num_res_blocks.at(level);
  }

  void down(size_t level) {
    const int64_t width = c_.channel_mult[level] * c_.model_channels;
    for (int64_t i = 0; i < blocks(level); ++i) {
      res_block(channels_, width);
      channels_ = width;
      if (attends(int64_t{1} << level)) attention(channels_);
      push_skip();
    }
    if (level + 1 == c_.channel_mult.size()) return;
    heights_.push_back(height_);
    widths_.push_back(width_);
    height_ = (height_ + 1) / 2;
    width_ = (width_ + 1) / 2;
    push_skip();
  }

  void up(size_t level) {
    const int64_t width = c_.channel_mult[level] * c_.model_channels;
    for (int64_t i = 0; i <= blocks(level); ++i) {
      const int64_t in = channels_ + skips_.back();
      note(size(channels_) + size(in));
      skips_.pop_back();
      skip_bytes_ -= skip_sizes_.back();
      skip_sizes_.pop_back();
      res_block(in, width);
      channels_ = width;
      if (attends(int64_t{1} << level)) attention(channels_, in);
    }
    if (level == 0) return;
    height_ = heights_.back();
    width_ = widths_.back();
    heights_.pop_back();
    widths_.pop_back();
    note(2 * size(channels_) + size(channels_) / 4);
  }

  const models::UNetConfig& c_;
  int64_t batch_, height_, width_;
  int64_t channels_ = 0;
  std::vector<int64_t> skips_, skip_sizes_, heights_, widths_;
  int64_t skip_bytes_ = 0;
  int64_t attended_ = 0;  // channels of all attentions
  int64_t peak_ = 0;
};

}  // namespace

int64_t unet_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width) {
  return UNetWalk(config, batch, height, width).peak();
}

int64_t context_bytes(const models::UNetConfig& config, int64_t batch, int64_t tokens) {
  if (config.context_dim == 0) return 0;
  const int64_t keys_and_values = 2 * UNetWalk(config, 1, 1, 1).attended() * config.transformer_depth;
  return bytes_of(batch, tokens, 1, config.context_dim + keys_and_values);
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

}  // namespace sumi::pipeline
