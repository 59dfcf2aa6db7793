#include "models/loading/name_map.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "models/loading/prefixes.h"
#include "models/unet/unet.h"
#include "tools/checkpoint_layout.h"

namespace sumi::models {
namespace {

std::set<std::string> manifest(const std::string& size) {
  std::ifstream file(std::string(SUMI_TEST_DATA) + "/" + size + "_manifest.json");
  std::set<std::string> names;
  const auto json = nlohmann::json::parse(file);
  for (const auto& [name, unused] : json.items()) names.insert(name);
  return names;
}

// The names below `prefix`, without it.
std::set<std::string> below(const std::set<std::string>& names, std::string_view prefix) {
  std::set<std::string> out;
  for (const auto& name : names) {
    if (name.starts_with(prefix)) out.insert(name.substr(prefix.size()));
  }
  return out;
}

HasTensor has_in(const std::set<std::string>& names) {
  return [&names](const std::string& name) { return names.contains(name); };
}

// Every CompVis name has one diffusers name and comes back from it; the diffusers names are returned.
std::set<std::string> check_both_ways(const NameMap& map, const std::set<std::string>& names, std::string_view prefix) {
  std::set<std::string> others;
  for (const auto& name : names) {
    const std::string full = std::string(prefix) + name;
    const auto other = map.to_diffusers(full);
    EXPECT_TRUE(other) << full;
    if (!other) continue;
    EXPECT_TRUE(others.insert(*other).second) << *other;
    EXPECT_EQ(map.to_compvis(*other), full);
  }
  EXPECT_FALSE(others.empty());
  return others;
}

class WholeManifest : public testing::TestWithParam<const char*> {};

TEST_P(WholeManifest, UNetBothWaysFromEitherSide) {
  const auto names = below(manifest(GetParam()), kUNetPrefix);
  const auto others =
      check_both_ways(unet_name_map(make_topology(unet_of_compvis_names(has_in(names)))), names, kUNetPrefix);
  const NameMap back = unet_name_map(make_topology(unet_of_diffusers_names(has_in(others))));
  std::set<std::string> returned;
  for (const auto& other : others) returned.insert(back.to_compvis(other).value_or("").substr(kUNetPrefix.size()));
  EXPECT_EQ(returned, names);
}

TEST_P(WholeManifest, VaeBothWaysFromEitherSide) {
  const auto names = below(manifest(GetParam()), kVaePrefix);
  const auto others = check_both_ways(vae_name_map(vae_levels_of_compvis(has_in(names))), names, kVaePrefix);
  const NameMap back = vae_name_map(vae_levels_of_diffusers(has_in(others)));
  std::set<std::string> returned;
  for (const auto& other : others) returned.insert(back.to_compvis(other).value_or("").substr(kVaePrefix.size()));
  EXPECT_EQ(returned, names);
}

TEST_P(WholeManifest, TextBothWays) {
  check_both_ways(text_name_map(), below(manifest(GetParam()), kTextPrefix), kTextPrefix);
}

// The table of the synthetic checkpoints is derived independently, from the architecture.
TEST_P(WholeManifest, AgreesWithTheLayoutOfTheSyntheticCheckpoints) {
  const auto all = manifest(GetParam());
  const auto unet = below(all, kUNetPrefix), vae = below(all, kVaePrefix);
  const NameMap unet_map = unet_name_map(make_topology(unet_of_compvis_names(has_in(unet))));
  const NameMap vae_map = vae_name_map(vae_levels_of_compvis(has_in(vae))), text_map = text_name_map();
  int compared = 0;
  for (const auto& entry : tools::checkpoint_layout(tools::synthetic_config(GetParam()))) {
    if (entry.component.empty()) continue;
    const NameMap& map = entry.component == "unet" ? unet_map : entry.component == "vae" ? vae_map : text_map;
    EXPECT_EQ(map.to_diffusers(entry.name), entry.diffusers_name);
    EXPECT_EQ(map.compvis_shape(entry.name, entry.diffusers_shape), entry.shape) << entry.name;
    ++compared;
  }
  EXPECT_GT(compared, 900);
}

INSTANTIATE_TEST_SUITE_P(, WholeManifest, testing::Values("sd1", "tiny"));

TEST(NameMap, WellKnownPairs) {
  const auto all = manifest("sd1");
  const auto unet_names = below(all, kUNetPrefix), vae_names = below(all, kVaePrefix);
  const NameMap unet = unet_name_map(make_topology(unet_of_compvis_names(has_in(unet_names))));
  const NameMap vae = vae_name_map(vae_levels_of_compvis(has_in(vae_names)));
  const std::pair<const char*, const char*> unet_pairs[] = {
      {"input_blocks.0.0.weight", "conv_in.weight"},
      {"input_blocks.1.0.in_layers.0.weight", "down_blocks.0.resnets.0.norm1.weight"},
      {"input_blocks.3.0.op.weight", "down_blocks.0.downsamplers.0.conv.weight"},
      {"input_blocks.4.0.skip_connection.bias", "down_blocks.1.resnets.0.conv_shortcut.bias"},
      {"input_blocks.11.0.out_layers.3.weight", "down_blocks.3.resnets.1.conv2.weight"},
      {"middle_block.1.proj_in.weight", "mid_block.attentions.0.proj_in.weight"},
      {"middle_block.2.emb_layers.1.weight", "mid_block.resnets.1.time_emb_proj.weight"},
      {"output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"},
      {"output_blocks.5.2.conv.bias", "up_blocks.1.upsamplers.0.conv.bias"},
      {"output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.weight",
       "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_out.0.weight"},
      {"time_embed.0.weight", "time_embedding.linear_1.weight"},
      {"out.0.weight", "conv_norm_out.weight"},
      {"out.2.bias", "conv_out.bias"}};
  for (const auto& [compvis, diffusers] : unet_pairs) {
    EXPECT_EQ(unet.to_diffusers(std::string(kUNetPrefix) + compvis), diffusers);
    EXPECT_EQ(unet.to_compvis(diffusers), std::string(kUNetPrefix) + compvis);
  }
  const std::pair<const char*, const char*> vae_pairs[] = {
      {"decoder.up.3.block.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight"},
      {"decoder.up.0.block.0.nin_shortcut.weight", "decoder.up_blocks.3.resnets.0.conv_shortcut.weight"},
      {"decoder.up.1.upsample.conv.weight", "decoder.up_blocks.2.upsamplers.0.conv.weight"},
      {"encoder.down.0.downsample.conv.bias", "encoder.down_blocks.0.downsamplers.0.conv.bias"},
      {"decoder.mid.attn_1.norm.weight", "decoder.mid_block.attentions.0.group_norm.weight"},
      {"decoder.mid.attn_1.proj_out.bias", "decoder.mid_block.attentions.0.to_out.0.bias"},
      {"encoder.mid.block_2.norm2.weight", "encoder.mid_block.resnets.1.norm2.weight"},
      {"decoder.norm_out.weight", "decoder.conv_norm_out.weight"},
      {"post_quant_conv.weight", "post_quant_conv.weight"}};
  for (const auto& [compvis, diffusers] : vae_pairs) {
    EXPECT_EQ(vae.to_diffusers(std::string(kVaePrefix) + compvis), diffusers);
    EXPECT_EQ(vae.to_compvis(diffusers), std::string(kVaePrefix) + compvis);
  }
}

TEST(NameMap, KnowsNothingElse) {
  const auto names = below(manifest("sd1"), kUNetPrefix);
  const NameMap unet = unet_name_map(make_topology(unet_of_compvis_names(has_in(names))));
  for (const char* name :
       {"", ".", "..", "add_embedding.linear_1.weight", "down_blocks.0", "down_blocks.0.resnets.9.norm1.weight",
        "down_blocks.0.resnets.0.in_layers.0.weight", "conv_inweight", "down_blocks.0.resnets.0.weight"}) {
    EXPECT_EQ(unet.to_compvis(name), std::nullopt) << name;
  }
  EXPECT_EQ(unet.to_diffusers("input_blocks.0.0.weight"), std::nullopt);
}

TEST(NameMap, OldAttentionNamesOfTheVae) {
  VaeLevels levels{{2, 2}, {3, 3}, true};
  const NameMap old_map = vae_name_map(levels);
  levels.old_attention = false;
  const NameMap new_map = vae_name_map(levels);
  const std::string at = "decoder.mid_block.attentions.0.", compvis = "first_stage_model.decoder.mid.attn_1.";
  const std::tuple<const char*, const char*, const char*> names[] = {
      {"query.weight", "to_q.weight", "q.weight"},
      {"key.bias", "to_k.bias", "k.bias"},
      {"value.weight", "to_v.weight", "v.weight"},
      {"proj_attn.weight", "to_out.0.weight", "proj_out.weight"}};
  for (const auto& [old_name, new_name, expected] : names) {
    EXPECT_EQ(old_map.to_compvis(at + old_name), compvis + expected);
    EXPECT_EQ(old_map.to_diffusers(compvis + expected), at + old_name);
    EXPECT_EQ(new_map.to_compvis(at + new_name), compvis + expected);
    EXPECT_EQ(old_map.to_compvis(at + new_name), std::nullopt);
  }
  EXPECT_EQ(old_map.compvis_shape(compvis + "q.weight", {8, 8}), (Shape{8, 8, 1, 1}));
  EXPECT_EQ(old_map.compvis_shape(compvis + "q.weight", {8, 8, 1, 1}), (Shape{8, 8, 1, 1}));
  EXPECT_EQ(old_map.compvis_shape(compvis + "q.bias", {8}), (Shape{8}));
  EXPECT_EQ(old_map.compvis_shape("first_stage_model.quant_conv.weight", {8, 8}), (Shape{8, 8}));
}

// Made-up architectures: levels of different depth, attention on some only, residual blocks that resample.
std::vector<UNetConfig> made_up() {
  std::vector<UNetConfig> configs(3);
  configs[0].channel_mult = {1, 2, 2};
  configs[0].num_res_blocks = {1, 3, 2};
  configs[0].transformer_depth = {1, 0, 4};
  configs[0].middle_depth = 2;
  configs[1].channel_mult = {1, 1};
  configs[1].num_res_blocks = {2, 2};
  configs[1].transformer_depth = {0, 10};
  configs[1].resblock_updown = true;
  configs[2].channel_mult = {1};
  configs[2].num_res_blocks = {1};
  configs[2].transformer_depth = {0};
  for (UNetConfig& config : configs) config.num_heads = 4;
  return configs;
}

// The structure read from the names of either side gives the same table.
TEST(NameMap, AnyLayoutBothWays) {
  for (const UNetConfig& config : made_up()) {
    UNet unet(config);
    std::set<std::string> compvis;
    nn::for_each_param(unet, "", [&](const std::string& name, nn::Param&) { compvis.insert(name); });
    const NameMap map = unet_name_map(make_topology(config));
    const std::set<std::string> diffusers = check_both_ways(map, compvis, kUNetPrefix);
    const UNetConfig of_compvis = unet_of_compvis_names(has_in(compvis)),
                     of_diffusers = unet_of_diffusers_names(has_in(diffusers));
    for (const UNetConfig& read : {of_compvis, of_diffusers}) {
      EXPECT_EQ(read.num_res_blocks, config.num_res_blocks);
      EXPECT_EQ(read.transformer_depth, config.transformer_depth);
      EXPECT_EQ(read.middle_depth, config.middle_depth);
      EXPECT_EQ(read.resblock_updown, config.resblock_updown);
      const NameMap again = unet_name_map(make_topology(read));
      for (const auto& name : diffusers) EXPECT_EQ(again.to_compvis(name), map.to_compvis(name));
    }
  }
}

// The same as the layout derived from the architecture, for levels and depths that no published model has.
TEST(NameMap, AgreesWithTheLayoutOfOtherConfigurations) {
  for (const UNetConfig& config : made_up()) {
    if (config.resblock_updown) continue;  // not supported there
    ModelConfig model = tools::synthetic_config("tiny");
    model.unet = config;
    const NameMap map = unet_name_map(make_topology(config));
    for (const auto& entry : tools::checkpoint_layout(model)) {
      if (entry.component != "unet") continue;
      EXPECT_EQ(map.to_diffusers(entry.name), entry.diffusers_name);
      EXPECT_EQ(map.compvis_shape(entry.name, entry.diffusers_shape), entry.shape) << entry.name;
    }
  }
}

}  // namespace
}  // namespace sumi::models
