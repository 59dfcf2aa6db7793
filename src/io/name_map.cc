#include "io/name_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace sumi::io {
namespace {

struct Pair {
  const char* compvis;
  const char* diffusers;
};

constexpr Pair kUNetEnds[] = {{"time_embed.0", "time_embedding.linear_1"},
                              {"time_embed.2", "time_embedding.linear_2"},
                              {"input_blocks.0.0", "conv_in"},
                              {"out.0", "conv_norm_out"},
                              {"out.2", "conv_out"}};
constexpr Pair kUNetResBlock[] = {{"in_layers.0", "norm1"},          {"in_layers.2", "conv1"},
                                  {"emb_layers.1", "time_emb_proj"}, {"out_layers.0", "norm2"},
                                  {"out_layers.3", "conv2"},         {"skip_connection", "conv_shortcut"}};
// Spatial transformers are named alike inside.
constexpr Pair kTransformer[] = {
    {"norm", "norm"}, {"proj_in", "proj_in"}, {"transformer_blocks", "transformer_blocks"}, {"proj_out", "proj_out"}};

constexpr Pair kVaeEnds[] = {{"encoder.conv_in", "encoder.conv_in"},
                             {"encoder.norm_out", "encoder.conv_norm_out"},
                             {"encoder.conv_out", "encoder.conv_out"},
                             {"decoder.conv_in", "decoder.conv_in"},
                             {"decoder.norm_out", "decoder.conv_norm_out"},
                             {"decoder.conv_out", "decoder.conv_out"},
                             {"quant_conv", "quant_conv"},
                             {"post_quant_conv", "post_quant_conv"}};
constexpr Pair kVaeResBlock[] = {
    {"norm1", "norm1"}, {"conv1", "conv1"}, {"norm2", "norm2"}, {"conv2", "conv2"}, {"nin_shortcut", "conv_shortcut"}};
constexpr Pair kVaeAttention[] = {{"q", "to_q"}, {"k", "to_k"}, {"v", "to_v"}, {"proj_out", "to_out.0"}};
constexpr Pair kVaeOldAttention[] = {{"q", "query"}, {"k", "key"}, {"v", "value"}, {"proj_out", "proj_attn"}};

// Collects renames under a component's CompVis prefix.
class Builder {
 public:
  explicit Builder(std::string_view prefix) : prefix_(prefix) {}

  void add(const std::string& compvis, const std::string& diffusers, bool conv_1x1 = false) {
    renames_.push_back({prefix_ + compvis, diffusers, conv_1x1});
  }
  template <size_t N> void add(const Pair (&pairs)[N]) {
    for (const Pair& pair : pairs) add(pair.compvis, pair.diffusers);
  }
  template <size_t N>
  void add(const std::string& compvis, const std::string& diffusers, const Pair (&children)[N], bool conv_1x1 = false) {
    for (const Pair& child : children) add(compvis + "." + child.compvis, diffusers + "." + child.diffusers, conv_1x1);
  }
  NameMap build() const { return NameMap(renames_); }

 private:
  std::string prefix_;
  std::vector<Rename> renames_;
};

// The layer at `compvis` that halves or doubles the resolution, against diffusers' `sampler`.
void add_resampler(Builder& b, const UNetStage& stage, const std::string& compvis, const char* conv,
                   const std::string& sampler) {
  if (stage.resampler == UNetStage::Resampler::kConv) b.add(compvis + "." + conv, sampler + ".conv");
  if (stage.resampler == UNetStage::Resampler::kResBlock) b.add(compvis, sampler, kUNetResBlock);
}

void add_vae_attention(Builder& b, const std::string& compvis, const std::string& diffusers, bool old_names) {
  b.add(compvis + ".norm", diffusers + ".group_norm");
  if (old_names) {
    b.add(compvis, diffusers, kVaeOldAttention, true);
  } else {
    b.add(compvis, diffusers, kVaeAttention, true);
  }
}

void add_vae_half(Builder& b, const std::string& half, const std::vector<int>& levels, bool old_names) {
  const bool encoder = half == "encoder";
  b.add(half + ".mid.block_1", half + ".mid_block.resnets.0", kVaeResBlock);
  add_vae_attention(b, half + ".mid.attn_1", half + ".mid_block.attentions.0", old_names);
  b.add(half + ".mid.block_2", half + ".mid_block.resnets.1", kVaeResBlock);
  for (size_t level = 0; level < levels.size(); ++level) {
    // diffusers counts the decoder's levels as the data flows, CompVis by resolution.
    const size_t position = encoder ? level : levels.size() - 1 - level;
    const std::string compvis = fmt::format("{}.{}.{}", half, encoder ? "down" : "up", level);
    const std::string diffusers = fmt::format("{}.{}_blocks.{}", half, encoder ? "down" : "up", position);
    for (int i = 0; i < levels[level]; ++i) {
      b.add(fmt::format("{}.block.{}", compvis, i), fmt::format("{}.resnets.{}", diffusers, i), kVaeResBlock);
      add_vae_attention(b, fmt::format("{}.attn.{}", compvis, i), fmt::format("{}.attentions.{}", diffusers, i),
                        old_names);
    }
    if (encoder) {
      b.add(compvis + ".downsample.conv", diffusers + ".downsamplers.0.conv");
    } else {
      b.add(compvis + ".upsample.conv", diffusers + ".upsamplers.0.conv");
    }
  }
}

using Resampler = UNetStage::Resampler;

std::vector<UNetStage> diffusers_stages(const HasTensor& has, const char* direction) {
  std::vector<UNetStage> stages;
  while (true) {
    const std::string block = fmt::format("{}_blocks.{}", direction, stages.size());
    const std::string sampler = fmt::format("{}.{}samplers.0", block, direction);
    UNetStage stage;
    while (has(fmt::format("{}.resnets.{}.norm1.weight", block, stage.blocks))) ++stage.blocks;
    if (stage.blocks == 0) return stages;
    stage.attends = has(block + ".attentions.0.norm.weight");
    if (has(sampler + ".conv.weight")) stage.resampler = Resampler::kConv;
    if (has(sampler + ".norm1.weight")) stage.resampler = Resampler::kResBlock;
    stages.push_back(stage);
  }
}

// A level of the up path ends in the block that has a layer more, which doubles the resolution.
std::vector<UNetStage> compvis_up_stages(const HasTensor& has) {
  std::vector<UNetStage> stages;
  UNetStage stage;
  for (int k = 0;; ++k) {
    const std::string block = fmt::format("output_blocks.{}", k);
    if (!has(block + ".0.in_layers.0.weight")) break;
    ++stage.blocks;
    stage.attends = has(block + ".1.norm.weight");
    const std::string last = fmt::format("{}.{}", block, stage.attends ? 2 : 1);
    if (has(last + ".conv.weight")) stage.resampler = Resampler::kConv;
    if (has(last + ".in_layers.0.weight")) stage.resampler = Resampler::kResBlock;
    if (stage.resampler == Resampler::kNone) continue;
    stages.push_back(stage);
    stage = {};
  }
  if (stage.blocks > 0) stages.push_back(stage);
  return stages;
}

// The way down has one residual block a level less. Where a residual block halves the resolution only this count tells
// it from the others.
std::vector<UNetStage> compvis_down_stages(const HasTensor& has, const std::vector<UNetStage>& up) {
  std::vector<UNetStage> stages;
  int block = 1;
  for (size_t level = up.size(); level-- > 0;) {
    UNetStage stage;
    stage.blocks = up[level].blocks - 1;
    stage.attends = has(fmt::format("input_blocks.{}.1.norm.weight", block));
    block += stage.blocks;
    const std::string next = fmt::format("input_blocks.{}.0", block);
    if (has(next + ".op.weight")) stage.resampler = Resampler::kConv;
    if (level > 0 && has(next + ".in_layers.0.weight")) stage.resampler = Resampler::kResBlock;
    if (stage.resampler != Resampler::kNone) ++block;
    stages.push_back(stage);
  }
  return stages;
}

std::vector<int> vae_levels(const HasTensor& has, const std::string& level_name, const char* block_name) {
  std::vector<int> levels;
  while (true) {
    int blocks = 0;
    while (has(fmt::format("{}.{}.{}.{}.norm1.weight", level_name, levels.size(), block_name, blocks))) ++blocks;
    if (blocks == 0) return levels;
    levels.push_back(blocks);
  }
}

}  // namespace

NameMap::NameMap(const std::vector<Rename>& renames) {
  for (const Rename& rename : renames) {
    [[maybe_unused]] const bool fresh =
        to_compvis_.emplace(rename.diffusers, Target{rename.compvis, rename.conv_1x1}).second &&
        to_diffusers_.emplace(rename.compvis, Target{rename.diffusers, rename.conv_1x1}).second;
    assert(fresh && "a module is named twice");
  }
#ifndef NDEBUG
  std::string_view rest;
  for (const Rename& rename : renames) {  // cut one part off, so that only modules that contain it are found
    const auto parent = [](const std::string& name) { return std::string_view(name).substr(0, name.rfind('.')); };
    assert(rename.diffusers.find('.') == std::string::npos || !find(to_compvis_, parent(rename.diffusers), &rest));
    assert(!find(to_diffusers_, parent(rename.compvis), &rest));
  }
#endif
}

const NameMap::Target* NameMap::find(const Table& table, std::string_view name, std::string_view* rest) {
  constexpr size_t kMaxNameBytes = 512;  // names have about 80; a file may hold one of a million dots
  if (name.size() > kMaxNameBytes) return nullptr;
  for (size_t end = name.size(); end != std::string_view::npos && end > 0; end = name.rfind('.', end - 1)) {
    const auto found = table.find(std::string(name.substr(0, end)));
    if (found == table.end()) continue;
    *rest = name.substr(end);
    return &found->second;
  }
  return nullptr;
}

std::optional<std::string> NameMap::to_compvis(std::string_view diffusers_name) const {
  std::string_view rest;
  const Target* target = find(to_compvis_, diffusers_name, &rest);
  if (!target) return std::nullopt;
  return target->module + std::string(rest);
}

std::optional<std::string> NameMap::to_diffusers(std::string_view compvis_name) const {
  std::string_view rest;
  const Target* target = find(to_diffusers_, compvis_name, &rest);
  if (!target) return std::nullopt;
  return target->module + std::string(rest);
}

Shape NameMap::compvis_shape(std::string_view compvis_name, const Shape& shape) const {
  std::string_view rest;
  const Target* target = find(to_diffusers_, compvis_name, &rest);
  const bool matrix = target && target->conv_1x1 && rest == ".weight" && shape.rank() == 2;
  return matrix ? Shape{shape[0], shape[1], 1, 1} : shape;
}

UNetStages unet_stages_of_diffusers(const HasTensor& has) {
  return {diffusers_stages(has, "down"), diffusers_stages(has, "up")};
}

UNetStages unet_stages_of_compvis(const HasTensor& has) {
  std::vector<UNetStage> up = compvis_up_stages(has);
  std::vector<UNetStage> down = compvis_down_stages(has, up);
  return {std::move(down), std::move(up)};
}

VaeLevels vae_levels_of_diffusers(const HasTensor& has) {
  VaeLevels levels{vae_levels(has, "encoder.down_blocks", "resnets"), vae_levels(has, "decoder.up_blocks", "resnets")};
  std::reverse(levels.decoder.begin(), levels.decoder.end());
  levels.old_attention =
      has("encoder.mid_block.attentions.0.query.weight") || has("decoder.mid_block.attentions.0.query.weight");
  return levels;
}

VaeLevels vae_levels_of_compvis(const HasTensor& has) {
  return {vae_levels(has, "encoder.down", "block"), vae_levels(has, "decoder.up", "block")};
}

NameMap unet_name_map(const UNetStages& stages) {
  Builder b(kUNetPrefix);
  b.add(kUNetEnds);
  int block = 1;
  for (size_t level = 0; level < stages.down.size(); ++level) {
    const UNetStage& stage = stages.down[level];
    const std::string diffusers = fmt::format("down_blocks.{}", level);
    for (int i = 0; i < stage.blocks; ++i, ++block) {
      b.add(fmt::format("input_blocks.{}.0", block), fmt::format("{}.resnets.{}", diffusers, i), kUNetResBlock);
      if (stage.attends) {
        b.add(fmt::format("input_blocks.{}.1", block), fmt::format("{}.attentions.{}", diffusers, i), kTransformer);
      }
    }
    add_resampler(b, stage, fmt::format("input_blocks.{}.0", block), "op", diffusers + ".downsamplers.0");
    if (stage.resampler != Resampler::kNone) ++block;
  }
  b.add("middle_block.0", "mid_block.resnets.0", kUNetResBlock);
  b.add("middle_block.1", "mid_block.attentions.0", kTransformer);
  b.add("middle_block.2", "mid_block.resnets.1", kUNetResBlock);
  block = 0;
  for (size_t level = 0; level < stages.up.size(); ++level) {
    const UNetStage& stage = stages.up[level];
    const std::string diffusers = fmt::format("up_blocks.{}", level);
    for (int i = 0; i < stage.blocks; ++i, ++block) {
      b.add(fmt::format("output_blocks.{}.0", block), fmt::format("{}.resnets.{}", diffusers, i), kUNetResBlock);
      if (stage.attends) {
        b.add(fmt::format("output_blocks.{}.1", block), fmt::format("{}.attentions.{}", diffusers, i), kTransformer);
      }
    }
    const std::string last = fmt::format("output_blocks.{}.{}", block - 1, stage.attends ? 2 : 1);
    add_resampler(b, stage, last, "conv", diffusers + ".upsamplers.0");
  }
  return b.build();
}

NameMap vae_name_map(const VaeLevels& levels) {
  Builder b(kVaePrefix);
  b.add(kVaeEnds);
  add_vae_half(b, "encoder", levels.encoder, levels.old_attention);
  add_vae_half(b, "decoder", levels.decoder, levels.old_attention);
  return b.build();
}

NameMap text_name_map() {
  Builder b(kTextPrefix);
  b.add("text_model", "text_model");
  return b.build();
}

}  // namespace sumi::io
