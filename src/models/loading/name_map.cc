#include "models/loading/name_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "models/loading/prefixes.h"

namespace sumi::models {
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
// Inside spatial transformers the names are the same.
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

// The residual block of `block` against diffusers' `resnet`, and its attention, if any, against `attention`.
void add_unet_block(Builder& b, const BlockPlan& block, const std::string& resnet, const std::string& attention) {
  b.add(block.name + ".0", resnet, kUNetResBlock);
  if (block.attention() != nullptr) b.add(block.name + ".1", attention, kTransformer);
}

// The last layer of `block`, which halves or doubles the resolution, against diffusers' `sampler`.
void add_resampler(Builder& b, const BlockPlan& block, const std::string& sampler) {
  const LayerPlan& layer = block.layers.back();
  const std::string compvis = fmt::format("{}.{}", block.name, block.layers.size() - 1);
  if (layer.kind == LayerPlan::Kind::kResBlock) {
    b.add(compvis, sampler, kUNetResBlock);
  } else if (layer.with_conv) {
    b.add(compvis + (layer.resample == Resample::kDown ? ".op" : ".conv"), sampler + ".conv");
  }
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
  for (const Rename& rename : renames) {  // drop the last part, so that only modules that contain it are found
    const auto parent = [](const std::string& name) { return std::string_view(name).substr(0, name.rfind('.')); };
    assert(rename.diffusers.find('.') == std::string::npos || !find(to_compvis_, parent(rename.diffusers), &rest));
    assert(!find(to_diffusers_, parent(rename.compvis), &rest));
  }
#endif
}

const NameMap::Target* NameMap::find(const Table& table, std::string_view name, std::string_view* rest) {
  constexpr size_t kMaxNameBytes = 512;  // names have about 80; a hostile one may have a million dots
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

// diffusers counts residual blocks within a level, the levels of the way up from the coarsest.
NameMap unet_name_map(const UNetTopology& topology) {
  Builder b(kUNetPrefix);
  b.add(kUNetEnds);
  const size_t top = topology.middle.level;
  const auto add_path = [&](const std::vector<BlockPlan>& blocks, const char* direction, bool up) {
    int i = 0;  // residual blocks of this level so far
    for (size_t k = 0; k < blocks.size(); ++k) {
      const BlockPlan& block = blocks[k];
      if (k > 0 && block.level != blocks[k - 1].level) i = 0;
      const std::string level = fmt::format("{}_blocks.{}", direction, up ? top - block.level : block.level);
      if (block.res_blocks() > 0) {
        add_unet_block(b, block, fmt::format("{}.resnets.{}", level, i), fmt::format("{}.attentions.{}", level, i));
        ++i;
      }
      if (block.resamples()) add_resampler(b, block, fmt::format("{}.{}samplers.0", level, direction));
    }
  };
  add_path(topology.input_blocks, "down", false);
  add_unet_block(b, topology.middle, "mid_block.resnets.0", "mid_block.attentions.0");
  b.add(topology.middle.name + ".2", "mid_block.resnets.1", kUNetResBlock);
  add_path(topology.output_blocks, "up", true);
  return b.build();
}

NameMap vae_name_map(const VaeLevels& levels) {
  Builder b(kVaePrefix);
  b.add(kVaeEnds);
  add_vae_half(b, "encoder", levels.encoder, levels.old_attention);
  add_vae_half(b, "decoder", levels.decoder, levels.old_attention);
  return b.build();
}

// Inside the text encoder the names are the same.
NameMap text_name_map() {
  return NameMap({{std::string(kTextPrefix.substr(0, kTextPrefix.size() - 1)), "text_model"}});
}

}  // namespace sumi::models
