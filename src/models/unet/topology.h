// The UNet's blocks, derived from its configuration: their layers, order, level and width.
//
// The only description of a UNet's order. Building, the memory plan, detection from shapes and the tables of names read
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/config.h"

namespace sumi::models {

// Halves or doubles a picture, by a convolution or without parameters (mean of 2x2; nearest neighbour).
enum class Resample : unsigned char { kNone, kDown, kUp };

struct LayerPlan {
  enum class Kind : unsigned char { kConv, kResBlock, kTransformer, kAttention, kResample };
  Kind kind;
  int64_t in, out;                      // channels
  Resample resample = Resample::kNone;  // of a residual block or a resampling layer
  bool with_conv = false;               // a resampling layer has a 3x3 convolution, and so parameters
  int64_t heads = 0, head_dim = 0;  // of attention; 0 where the configuration has no heads yet (see config_detect.cc)
  int64_t depth = 0;                // blocks of a transformer; 1 for plain attention
  bool attends() const { return kind == Kind::kTransformer || kind == Kind::kAttention; }
};

struct BlockPlan {
  std::string name;  // LDM's: "input_blocks.3", "middle_block", "output_blocks.0"
  size_t level;      // of the block's input: it is halved this often
  // Channels of the skip: an input block's output is kept as one, an output block gets one joined to its input before
  // its first layer. 0 for the middle.
  int64_t skip;
  std::vector<LayerPlan> layers;

  // Whether the last layer leads to another level.
  bool resamples() const { return layers.back().resample != Resample::kNone; }
  // The number of residual blocks that do not resample: 1, except 0 for the first convolution and resampling blocks,
  // and 2 for the middle.
  int64_t res_blocks() const;
  // The attention layer; nullptr if there is none.
  const LayerPlan* attention() const;
};

// In the order the data flows. Output block i takes the skip of input block n-1-i.
struct UNetTopology {
  std::vector<BlockPlan> input_blocks;
  BlockPlan middle;
  std::vector<BlockPlan> output_blocks;
};

// LDM's `UNetModel.__init__` (openaimodel.py), with a transformer depth for each level as in SGM's. The configuration's
// vectors must have the lengths that check_config demands; nothing else has to be valid.
UNetTopology make_topology(const UNetConfig& config);

// Residual blocks of a level on its way down; one more on its way up.
int64_t res_blocks_at(const UNetConfig& config, size_t level);

// LDM's `attention_resolutions`: the downsampling factors of the levels that attend, the finest first.
std::vector<int64_t> attention_resolutions(const UNetConfig& config);

}  // namespace sumi::models
