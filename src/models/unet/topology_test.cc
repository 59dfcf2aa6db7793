#include "models/unet/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "models/unet/unet.h"
#include "tools/checkpoint_layout.h"

namespace sumi::models {
namespace {

using ::testing::ElementsAre;
using Kind = LayerPlan::Kind;

UNetConfig sd1() { return tools::synthetic_config("sd1").unet; }

// Stable Diffusion XL's UNet, without its size labels.
UNetConfig deep_where_coarse() {
  UNetConfig c = sd1();
  c.channel_mult = {1, 2, 4};
  c.transformer_depth = {0, 2, 10};
  c.middle_depth = 10;
  c.num_heads = -1;
  c.num_head_channels = 64;
  c.context_dim = 2048;
  c.use_linear_in_transformer = true;
  return c;
}

UNetConfig uneven() {
  UNetConfig c = sd1();
  c.model_channels = 32;
  c.channel_mult = {1, 3, 2, 5, 5};
  c.num_res_blocks = {1, 4, 2, 1, 3};
  c.transformer_depth = {3, 0, 1, 0, 2};
  c.middle_depth = 4;
  c.context_dim = 0;
  return c;
}

// Names and shapes of the built module, against the list that tools/ derives independently.
TEST(UNetTopology, BuildsTheTensorsOfTheLayout) {
  UNetConfig one_level = sd1();
  one_level.channel_mult = {1};
  one_level.num_res_blocks = {3};
  one_level.transformer_depth = {0};
  for (const UNetConfig& config :
       {sd1(), tools::synthetic_config("tiny").unet, deep_where_coarse(), uneven(), one_level}) {
    ModelConfig model = tools::synthetic_config("sd1");
    model.unet = config;
    std::map<std::string, std::vector<int64_t>> expected, built;
    for (const auto& entry : tools::checkpoint_layout(model)) {
      if (entry.component == "unet") expected[entry.name] = entry.shape.dims();
    }
    UNet unet(config);
    nn::for_each_param(unet, "model.diffusion_model.",
                       [&](const std::string& name, nn::Param& param) { built[name] = param.shape.dims(); });
    EXPECT_GT(expected.size(), 80u);
    EXPECT_EQ(built, expected);
  }
}

std::vector<size_t> levels_of(const std::vector<BlockPlan>& blocks) {
  std::vector<size_t> levels;
  for (const BlockPlan& block : blocks) levels.push_back(block.level);
  return levels;
}

std::vector<int64_t> skips_of(const std::vector<BlockPlan>& blocks) {
  std::vector<int64_t> skips;
  for (const BlockPlan& block : blocks) skips.push_back(block.skip);
  return skips;
}

// Figures of the published network.
TEST(UNetTopology, OfStableDiffusion1) {
  const UNetTopology t = make_topology(sd1());
  EXPECT_THAT(levels_of(t.input_blocks), ElementsAre(0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3));
  EXPECT_THAT(levels_of(t.output_blocks), ElementsAre(3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0));
  EXPECT_THAT(skips_of(t.input_blocks), ElementsAre(320, 320, 320, 320, 640, 640, 640, 1280, 1280, 1280, 1280, 1280));
  EXPECT_THAT(skips_of(t.output_blocks), ElementsAre(1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 320));
  EXPECT_EQ(t.input_blocks[0].layers[0].kind, Kind::kConv);
  EXPECT_EQ(t.middle.level, 3u);
  ASSERT_EQ(t.middle.layers.size(), 3u);
  EXPECT_EQ(t.middle.layers[1].kind, Kind::kTransformer);
  const BlockPlan& turn = t.output_blocks[5];
  EXPECT_EQ(turn.name, "output_blocks.5");
  ASSERT_EQ(turn.layers.size(), 3u);
  EXPECT_EQ(turn.layers[0].in, 1280 + 640);
  EXPECT_EQ(turn.layers[1].heads, 8);
  EXPECT_EQ(turn.layers[1].head_dim, 160);
  EXPECT_EQ(turn.layers[1].depth, 1);
  EXPECT_EQ(turn.layers[2].resample, Resample::kUp);
  EXPECT_TRUE(turn.layers[2].with_conv);
  EXPECT_TRUE(turn.resamples());
  EXPECT_EQ(t.output_blocks[6].attention()->head_dim, 80);
  EXPECT_EQ(t.output_blocks[2].attention(), nullptr);
}

TEST(UNetTopology, AttendsWhereThereIsADepth) {
  const UNetTopology t = make_topology(deep_where_coarse());
  for (const auto* blocks : {&t.input_blocks, &t.output_blocks}) {
    for (const BlockPlan& block : *blocks) {
      const LayerPlan* attention = block.attention();
      const bool expected = block.level > 0 && block.res_blocks() == 1;
      ASSERT_EQ(attention != nullptr, expected) << block.name;
      if (attention == nullptr) continue;
      EXPECT_EQ(attention->depth, block.level == 1 ? 2 : 10) << block.name;
      EXPECT_EQ(attention->heads, block.level == 1 ? 10 : 20) << block.name;
    }
  }
  EXPECT_EQ(t.middle.attention()->depth, 10);
  EXPECT_THAT(attention_resolutions(deep_where_coarse()), ElementsAre(2, 4));
}

TEST(UNetTopology, OtherLayers) {
  UNetConfig c = uneven();
  c.use_spatial_transformer = false;
  c.transformer_depth = {0, 1, 0, 0, 1};
  c.middle_depth = 1;
  c.conv_resample = false;
  UNetTopology t = make_topology(c);
  EXPECT_EQ(t.input_blocks[2].layers[0].kind, Kind::kResample);
  EXPECT_FALSE(t.input_blocks[2].layers[0].with_conv);
  EXPECT_EQ(t.input_blocks[3].attention()->kind, Kind::kAttention);
  c.resblock_updown = true;
  t = make_topology(c);
  EXPECT_EQ(t.input_blocks[2].layers[0].kind, Kind::kResBlock);
  EXPECT_EQ(t.input_blocks[2].res_blocks(), 0);
  EXPECT_EQ(t.output_blocks[3].layers.back().resample, Resample::kUp);
  EXPECT_EQ(t.output_blocks.size(), 2u + 5 + 3 + 2 + 4);
}

}  // namespace
}  // namespace sumi::models
