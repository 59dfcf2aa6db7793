#include "tools/checkpoint_layout.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace sumi::tools {
namespace {

class Layout : public testing::TestWithParam<const char*> {};

// The manifests list the original's state_dict: name → [type, shape], in its order.
TEST_P(Layout, EqualsTheOriginalsStateDict) {
  std::ifstream file(std::string(SUMI_TEST_DATA) + "/" + GetParam() + "_manifest.json");
  const auto manifest = nlohmann::ordered_json::parse(file);
  const std::vector<LayoutEntry> layout = checkpoint_layout(synthetic_config(GetParam()));
  ASSERT_EQ(layout.size(), manifest.size());
  size_t i = 0;
  for (const auto& [name, value] : manifest.items()) {
    ASSERT_EQ(layout[i].name, name) << "entry " << i;
    ASSERT_EQ(layout[i].shape.dims(), value.at(1).get<std::vector<int64_t>>()) << name;
    ++i;
  }
}

TEST_P(Layout, DiffusersNamesAreUniqueAndKeepTheSize) {
  std::set<std::string> seen;
  for (const LayoutEntry& entry : checkpoint_layout(synthetic_config(GetParam()))) {
    if (entry.component.empty()) continue;
    EXPECT_TRUE(seen.insert(entry.component + "/" + entry.diffusers_name).second) << entry.diffusers_name;
    EXPECT_EQ(entry.shape.numel(), entry.diffusers_shape.numel()) << entry.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Layout, testing::Values("sd1", "tiny"));

// Names as published folders of Stable Diffusion 1.x have them.
TEST(DiffusersNames, AreThePublishedOnes) {
  std::map<std::string, std::string> names;
  for (const LayoutEntry& entry : checkpoint_layout(synthetic_config("sd1"))) names[entry.name] = entry.diffusers_name;
  const std::map<std::string, std::string> expected{
      {"model.diffusion_model.time_embed.2.bias", "time_embedding.linear_2.bias"},
      {"model.diffusion_model.input_blocks.0.0.weight", "conv_in.weight"},
      {"model.diffusion_model.input_blocks.3.0.op.weight", "down_blocks.0.downsamplers.0.conv.weight"},
      {"model.diffusion_model.input_blocks.5.0.emb_layers.1.weight", "down_blocks.1.resnets.1.time_emb_proj.weight"},
      {"model.diffusion_model.middle_block.1.transformer_blocks.0.ff.net.0.proj.bias",
       "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.bias"},
      {"model.diffusion_model.output_blocks.2.1.conv.bias", "up_blocks.0.upsamplers.0.conv.bias"},
      {"model.diffusion_model.output_blocks.5.2.conv.bias", "up_blocks.1.upsamplers.0.conv.bias"},
      {"model.diffusion_model.output_blocks.11.0.skip_connection.weight", "up_blocks.3.resnets.2.conv_shortcut.weight"},
      {"model.diffusion_model.out.0.weight", "conv_norm_out.weight"},
      {"first_stage_model.encoder.down.2.downsample.conv.weight", "encoder.down_blocks.2.downsamplers.0.conv.weight"},
      {"first_stage_model.encoder.mid.attn_1.norm.bias", "encoder.mid_block.attentions.0.group_norm.bias"},
      {"first_stage_model.decoder.mid.attn_1.proj_out.weight", "decoder.mid_block.attentions.0.to_out.0.weight"},
      {"first_stage_model.decoder.up.3.block.1.conv1.weight", "decoder.up_blocks.0.resnets.1.conv1.weight"},
      {"first_stage_model.decoder.up.0.block.0.nin_shortcut.weight",
       "decoder.up_blocks.3.resnets.0.conv_shortcut.weight"},
      {"first_stage_model.quant_conv.weight", "quant_conv.weight"},
      {"cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc2.bias",
       "text_model.encoder.layers.11.mlp.fc2.bias"},
  };
  for (const auto& [name, diffusers] : expected) EXPECT_EQ(names[name], diffusers) << name;
}

TEST(SyntheticConfig, RefusesOtherSizes) { EXPECT_THROW(synthetic_config("huge"), Error); }

}  // namespace
}  // namespace sumi::tools
