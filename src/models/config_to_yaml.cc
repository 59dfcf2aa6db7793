// LDM's YAML configurations, written.
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/check.h"
#include "models/unet/topology.h"

namespace sumi::models {
namespace {

YAML::Node part(const char* target) {
  YAML::Node node;
  node["target"] = target;
  return node;
}

// Numbers as text that reads back as the same double.
std::string exact(double value) { return fmt::format("{}", value); }

YAML::Node list(const std::vector<int64_t>& values) {
  YAML::Node node(YAML::NodeType::Sequence);
  for (const int64_t value : values) node.push_back(value);
  node.SetStyle(YAML::EmitterStyle::Flow);
  return node;
}

YAML::Node unet_node(const UNetConfig& c) {
  YAML::Node node = part("ldm.modules.diffusionmodules.openaimodel.UNetModel"), p;
  p["in_channels"] = c.in_channels;
  p["out_channels"] = c.out_channels;
  p["model_channels"] = c.model_channels;
  std::vector<int64_t> factors = attention_resolutions(c);
  std::reverse(factors.begin(), factors.end());  // LDM's files begin with the coarsest
  p["attention_resolutions"] = list(factors);
  p["num_res_blocks"] = list(c.num_res_blocks);
  p["channel_mult"] = list(c.channel_mult);
  p["num_heads"] = c.num_heads;
  p["num_head_channels"] = c.num_head_channels;
  p["use_spatial_transformer"] = c.use_spatial_transformer;
  const bool one_depth = std::all_of(c.transformer_depth.begin(), c.transformer_depth.end(),
                                     [&](int64_t depth) { return depth == 0 || depth == c.middle_depth; });
  if (one_depth) {
    p["transformer_depth"] = c.middle_depth;
  } else {
    p["transformer_depth"] = list(c.transformer_depth);
    p["transformer_depth_middle"] = c.middle_depth;
  }
  if (c.context_dim > 0) p["context_dim"] = c.context_dim;
  p["use_linear_in_transformer"] = c.use_linear_in_transformer;
  p["use_scale_shift_norm"] = c.use_scale_shift_norm;
  p["resblock_updown"] = c.resblock_updown;
  p["conv_resample"] = c.conv_resample;
  p["legacy"] = c.legacy;
  if (c.norm_groups != 32) p["norm_groups"] = c.norm_groups;
  node["params"] = p;
  return node;
}

YAML::Node autoencoder_node(const AutoencoderConfig& c) {
  YAML::Node node = part("ldm.models.autoencoder.AutoencoderKL"), p, d;
  d["double_z"] = true;
  d["z_channels"] = c.z_channels;
  d["resolution"] = c.resolution;
  d["in_channels"] = c.in_channels;
  d["out_ch"] = c.out_channels;
  d["ch"] = c.ch;
  d["ch_mult"] = list(c.ch_mult);
  d["num_res_blocks"] = c.num_res_blocks;
  d["attn_resolutions"] = list(c.attn_resolutions);
  if (c.norm_groups != 32) d["norm_groups"] = c.norm_groups;
  p["embed_dim"] = c.embed_dim;
  p["ddconfig"] = d;
  node["params"] = p;
  return node;
}

YAML::Node text_node(const ClipTextConfig& c) {
  YAML::Node node = part("ldm.modules.encoders.modules.FrozenCLIPEmbedder"), p;
  p["vocab_size"] = c.vocab_size;
  p["max_position_embeddings"] = c.max_positions;
  p["hidden_size"] = c.hidden_size;
  p["num_hidden_layers"] = c.layers;
  p["num_attention_heads"] = c.heads;
  p["intermediate_size"] = c.intermediate_size;
  p["hidden_act"] = c.quick_gelu ? "quick_gelu" : "gelu";
  p["layer_norm_eps"] = exact(c.layer_norm_eps);
  node["params"] = p;
  return node;
}

}  // namespace

std::string config_to_yaml(const ModelConfig& config) {
  YAML::Node root, model = part("ldm.models.diffusion.ddpm.LatentDiffusion"), p;
  p["timesteps"] = config.timesteps;
  p["beta_schedule"] = config.beta_schedule == "linear_betas" ? "sqrt_linear" : config.beta_schedule;
  p["linear_start"] = exact(config.linear_start);
  p["linear_end"] = exact(config.linear_end);
  p["parameterization"] = diffusion::name_of(config.prediction);
  p["image_size"] = config.default_size / config.autoencoder.downsampling();
  p["scale_factor"] = exact(config.autoencoder.scale_factor);
  if (config.scale_by_std) p["scale_by_std"] = true;
  if (config.unet.in_channels > config.unet.out_channels) p["conditioning_key"] = "hybrid";
  p["unet_config"] = unet_node(config.unet);
  p["first_stage_config"] = autoencoder_node(config.autoencoder);
  if (config.unet.context_dim > 0) p["cond_stage_config"] = text_node(config.text);
  model["params"] = p;
  root["model"] = model;
  const SamplingDefaults& s = config.sampling;
  if (!s.sampler.empty()) root["sampling"]["sampler"] = s.sampler;
  if (s.steps > 0) root["sampling"]["steps"] = s.steps;
  if (s.scale > 0.0) root["sampling"]["scale"] = exact(s.scale);
  YAML::Emitter emitter;
  emitter << root;
  return std::string(emitter.c_str()) + "\n";
}

}  // namespace sumi::models
