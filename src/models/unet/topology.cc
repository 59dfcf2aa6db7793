#include "models/unet/topology.h"

#include <algorithm>

namespace sumi::models {
namespace {

using Kind = LayerPlan::Kind;

class Builder {
 public:
  explicit Builder(const UNetConfig& config) : c_(config), channels_(config.model_channels) {}

  UNetTopology build() {
    down();
    topology_.middle = {.name = "middle_block", .level = levels() - 1, .skip = 0, .layers = {}};
    std::vector<LayerPlan>& middle = topology_.middle.layers;
    res_block(middle, channels_, channels_);
    attention(middle, c_.middle_depth);
    res_block(middle, channels_, channels_);
    up();
    return std::move(topology_);
  }

 private:
  size_t levels() const { return c_.channel_mult.size(); }
  int64_t width(size_t level) const { return c_.channel_mult[level] * c_.model_channels; }

  void res_block(std::vector<LayerPlan>& layers, int64_t in, int64_t out, Resample resample = Resample::kNone) {
    layers.push_back({.kind = Kind::kResBlock, .in = in, .out = out, .resample = resample});
    channels_ = out;
  }

  void attention(std::vector<LayerPlan>& layers, int64_t depth) const {
    LayerPlan layer{.kind = c_.use_spatial_transformer ? Kind::kTransformer : Kind::kAttention,
                    .in = channels_,
                    .out = channels_,
                    .depth = depth};
    layer.heads = c_.num_head_channels > 0 ? channels_ / c_.num_head_channels : std::max<int64_t>(0, c_.num_heads);
    layer.head_dim = layer.heads > 0 ? channels_ / layer.heads : 0;
    layers.push_back(layer);
  }

  void resample(std::vector<LayerPlan>& layers, Resample direction) {
    if (c_.resblock_updown) return res_block(layers, channels_, channels_, direction);
    layers.push_back({.kind = Kind::kResample,
                      .in = channels_,
                      .out = channels_,
                      .resample = direction,
                      .with_conv = c_.conv_resample});
  }

  // Ends an input block: its output is kept as a skip.
  void add_input(size_t level, std::vector<LayerPlan> layers) {
    topology_.input_blocks.push_back({.name = "input_blocks." + std::to_string(topology_.input_blocks.size()),
                                      .level = level,
                                      .skip = channels_,
                                      .layers = std::move(layers)});
  }

  void down() {
    add_input(0, {{.kind = Kind::kConv, .in = c_.in_channels, .out = channels_}});
    for (size_t level = 0; level < levels(); ++level) {
      for (int64_t i = 0; i < res_blocks_at(c_, level); ++i) {
        std::vector<LayerPlan> layers;
        res_block(layers, channels_, width(level));
        if (c_.transformer_depth[level] > 0) attention(layers, c_.transformer_depth[level]);
        add_input(level, std::move(layers));
      }
      if (level + 1 == levels()) return;
      std::vector<LayerPlan> layers;
      resample(layers, Resample::kDown);
      add_input(level, std::move(layers));
    }
  }

  void up() {
    size_t skip = topology_.input_blocks.size();
    for (size_t level = levels(); level-- > 0;) {
      for (int64_t i = 0; i <= res_blocks_at(c_, level); ++i) {
        BlockPlan block{.name = "output_blocks." + std::to_string(topology_.output_blocks.size()),
                        .level = level,
                        .skip = topology_.input_blocks[--skip].skip,
                        .layers = {}};
        res_block(block.layers, channels_ + block.skip, width(level));
        if (c_.transformer_depth[level] > 0) attention(block.layers, c_.transformer_depth[level]);
        if (level > 0 && i == res_blocks_at(c_, level)) resample(block.layers, Resample::kUp);
        topology_.output_blocks.push_back(std::move(block));
      }
    }
  }

  const UNetConfig& c_;
  int64_t channels_;
  UNetTopology topology_;
};

}  // namespace

int64_t BlockPlan::res_blocks() const {
  return std::count_if(layers.begin(), layers.end(), [](const LayerPlan& layer) {
    return layer.kind == Kind::kResBlock && layer.resample == Resample::kNone;
  });
}

const LayerPlan* BlockPlan::attention() const {
  const auto found = std::find_if(layers.begin(), layers.end(), [](const LayerPlan& layer) { return layer.attends(); });
  return found == layers.end() ? nullptr : &*found;
}

UNetTopology make_topology(const UNetConfig& config) { return Builder(config).build(); }

int64_t res_blocks_at(const UNetConfig& config, size_t level) {
  return config.num_res_blocks.size() == 1 ? config.num_res_blocks[0] : config.num_res_blocks[level];
}

std::vector<int64_t> attention_resolutions(const UNetConfig& config) {
  std::vector<int64_t> factors;
  for (size_t level = 0; level < config.transformer_depth.size(); ++level) {
    if (config.transformer_depth[level] > 0) factors.push_back(int64_t{1} << level);
  }
  return factors;
}

}  // namespace sumi::models
