#include "models/loading/unet_from_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/unet/topology.h"

namespace sumi::models {
namespace {

// How many of the names `before` + 0, 1, 2 … + `after` exist without a gap.
int64_t count(const HasTensor& has, const std::string& before, const char* after) {
  int64_t n = 0;
  while (has(before + std::to_string(n) + after)) ++n;
  return n;
}

// The transformer depth of the attention layer at `at`; 0 if there is none.
int64_t depth_at(const HasTensor& has, const std::string& at) {
  if (!has(at + ".norm.weight")) return 0;
  return std::max<int64_t>(1, count(has, at + ".transformer_blocks.", ".attn1.to_q.weight"));
}

void set_levels(UNetConfig& c, size_t levels) {
  c.channel_mult.assign(levels, 1);
  c.num_res_blocks.assign(levels, 1);
  c.transformer_depth.assign(levels, 0);
}

}  // namespace

// Levels are read from the way up: each ends in a block with an additional layer, which doubles the resolution. On the
// way down, a residual block that halves the resolution has the same names as any other.
UNetConfig unet_of_compvis_names(const HasTensor& has) {
  UNetConfig c;
  std::vector<int64_t> blocks;  // of each level on its way up, the coarsest first
  bool ended = true;            // the level of the block before
  for (int k = 0;; ++k) {
    const std::string block = fmt::format("output_blocks.{}", k);
    if (!has(block + ".0.in_layers.0.weight")) break;
    if (ended) blocks.push_back(0);
    ++blocks.back();
    const std::string last = fmt::format("{}.{}", block, has(block + ".1.norm.weight") ? 2 : 1);
    const bool resamples = has(last + ".in_layers.0.weight");
    c.resblock_updown |= resamples;
    ended = resamples || has(last + ".conv.weight");
  }
  set_levels(c, std::max<size_t>(1, blocks.size()));
  for (size_t i = 0; i < blocks.size(); ++i) c.num_res_blocks[blocks.size() - 1 - i] = blocks[i] - 1;
  const UNetTopology topology = make_topology(c);
  const auto read_depth = [&](const BlockPlan& block) {
    int64_t& depth = c.transformer_depth[block.level];
    if (block.res_blocks() == 1) depth = std::max(depth, depth_at(has, block.name + ".1"));
  };
  std::for_each(topology.input_blocks.begin(), topology.input_blocks.end(), read_depth);
  std::for_each(topology.output_blocks.begin(), topology.output_blocks.end(), read_depth);
  c.middle_depth = std::max<int64_t>(1, depth_at(has, "middle_block.1"));
  c.use_spatial_transformer = has("middle_block.1.proj_in.weight");
  return c;
}

UNetConfig unet_of_diffusers_names(const HasTensor& has) {
  constexpr const char* kResNet = ".resnets.0.norm1.weight";
  UNetConfig c;
  const auto down = static_cast<size_t>(count(has, "down_blocks.", kResNet)),
             up = static_cast<size_t>(count(has, "up_blocks.", kResNet));
  const size_t levels = std::max<size_t>({1, down, up});
  set_levels(c, levels);
  for (size_t level = 0; level < levels; ++level) {
    const std::string below = fmt::format("down_blocks.{}.", level),
                      above = fmt::format("up_blocks.{}.", levels - 1 - level);
    c.num_res_blocks[level] = std::max<int64_t>(
        {1, count(has, below + "resnets.", ".norm1.weight"), count(has, above + "resnets.", ".norm1.weight") - 1});
    for (int64_t i = 0; i <= c.num_res_blocks[level]; ++i) {
      for (const std::string& block : {below, above}) {
        c.transformer_depth[level] =
            std::max(c.transformer_depth[level], depth_at(has, fmt::format("{}attentions.{}", block, i)));
      }
    }
    c.resblock_updown |= has(below + "downsamplers.0.norm1.weight") || has(above + "upsamplers.0.norm1.weight");
  }
  c.middle_depth = std::max<int64_t>(1, depth_at(has, "mid_block.attentions.0"));
  return c;
}

}  // namespace sumi::models
