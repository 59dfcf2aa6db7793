#include "models/config.h"

#include <cmath>

#include "base/check.h"
#include "models/unet/topology.h"

namespace sumi::models {
namespace {

// Limits far above every published model: they keep products of sizes inside int64 and a hostile configuration from
// building networks of millions of layers.
constexpr int64_t kMaxWidth = 65536;
constexpr int64_t kMaxLevels = 12;
constexpr int64_t kMaxBlocksPerLevel = 32;
constexpr int64_t kMaxDepth = 128;
constexpr int64_t kMaxVocabulary = 1 << 22;
constexpr int64_t kMaxTimesteps = 100000;
constexpr int64_t kMaxSize = 16384;  // pixels

constexpr int64_t kMaxTransformers = 4096;

// The rules; messages begin with `source`.
class Checker {
 public:
  explicit Checker(const std::string& source) : source_(source) {}

  void unet(const UNetConfig& c) const;
  void autoencoder(const AutoencoderConfig& c) const;
  void text(const ClipTextConfig& c) const;
  void whole(const ModelConfig& c) const;

 private:
  void range(int64_t value, int64_t low, int64_t high, const char* what) const {
    SUMI_CHECK(low <= value && value <= high, "{}: {} is {}; it must be {} to {}", source_, what, value, low, high);
  }
  void widths(int64_t base, const std::vector<int64_t>& multipliers, int64_t groups, const char* what) const;
  void heads(const UNetConfig& c, int64_t width) const;

  const std::string& source_;
};

// Widths of the levels: the base times each multiplier, each a multiple of the number of norm groups.
void Checker::widths(int64_t base, const std::vector<int64_t>& multipliers, int64_t groups, const char* what) const {
  range(base, 1, kMaxWidth, what);
  SUMI_CHECK(!multipliers.empty() && static_cast<int64_t>(multipliers.size()) <= kMaxLevels,
             "{}: {} come in {} levels; there must be 1 to {}", source_, what, multipliers.size(), kMaxLevels);
  for (const int64_t multiplier : multipliers) {
    range(multiplier, 1, kMaxWidth, "a channel multiplier");
    range(base * multiplier, 1, kMaxWidth, what);
  }
  SUMI_CHECK(base % groups == 0, "{}: {} is {}; it must be a multiple of {}, the groups of its norms", source_, what,
             base, groups);
}

void Checker::heads(const UNetConfig& c, int64_t width) const {
  if (c.num_head_channels > 0) {
    SUMI_CHECK(width % c.num_head_channels == 0,
               "{}: attention heads of {} channels do not divide the UNet's {} channels", source_, c.num_head_channels,
               width);
  } else {
    SUMI_CHECK(width % c.num_heads == 0, "{}: {} attention heads do not divide the UNet's {} channels", source_,
               c.num_heads, width);
  }
}

void Checker::unet(const UNetConfig& c) const {
  range(c.in_channels, 1, kMaxWidth, "the UNet's in_channels");
  range(c.out_channels, 1, kMaxWidth, "the UNet's out_channels");
  range(c.norm_groups, 1, kMaxWidth, "the UNet's norm_groups");
  widths(c.model_channels, c.channel_mult, c.norm_groups, "the UNet's channels");
  SUMI_CHECK(c.num_res_blocks.size() == 1 || c.num_res_blocks.size() == c.channel_mult.size(),
             "{}: num_res_blocks has {} entries; one, or one for each of the {} levels", source_,
             c.num_res_blocks.size(), c.channel_mult.size());
  for (const int64_t n : c.num_res_blocks) range(n, 1, kMaxBlocksPerLevel, "num_res_blocks");
  SUMI_CHECK(c.transformer_depth.size() == c.channel_mult.size(),
             "{}: transformer_depth has {} entries for the {} levels of the UNet", source_, c.transformer_depth.size(),
             c.channel_mult.size());
  const int64_t deepest = c.use_spatial_transformer ? kMaxDepth : 1;
  for (const int64_t depth : c.transformer_depth) range(depth, 0, deepest, "transformer_depth");
  range(c.middle_depth, 1, deepest, "the middle block's transformer depth");
  range(c.context_dim, 0, kMaxWidth, "context_dim");
  SUMI_CHECK(c.context_dim == 0 || c.use_spatial_transformer,
             "{}: context_dim is {}, but without use_spatial_transformer no layer of the UNet would see the text",
             source_, c.context_dim);
  SUMI_CHECK(c.num_head_channels > 0 || c.num_heads > 0,
             "{}: the UNet's attention has neither num_heads nor num_head_channels", source_);
  const UNetTopology topology = make_topology(c);
  int64_t transformers = 0;
  const auto check = [&](const BlockPlan& block) {
    const LayerPlan* attention = block.attention();
    if (attention == nullptr) return;
    heads(c, attention->in);
    transformers += attention->depth;
  };
  for (const BlockPlan& block : topology.input_blocks) check(block);
  check(topology.middle);
  for (const BlockPlan& block : topology.output_blocks) check(block);
  range(transformers, 1, kMaxTransformers, "the number of transformer blocks");
}

void Checker::autoencoder(const AutoencoderConfig& c) const {
  range(c.embed_dim, 1, kMaxWidth, "the autoencoder's embed_dim");
  range(c.z_channels, 1, kMaxWidth, "the autoencoder's z_channels");
  range(c.in_channels, 1, kMaxWidth, "the autoencoder's in_channels");
  range(c.out_channels, 1, kMaxWidth, "the autoencoder's out_channels");
  range(c.norm_groups, 1, kMaxWidth, "the autoencoder's norm_groups");
  widths(c.ch, c.ch_mult, c.norm_groups, "the autoencoder's channels");
  range(c.num_res_blocks, 1, kMaxBlocksPerLevel, "the autoencoder's num_res_blocks");
  range(c.resolution, 1, kMaxWidth, "the autoencoder's resolution");
  SUMI_CHECK(c.attn_resolutions.size() <= 64, "{}: attn_resolutions has {} entries; at most 64", source_,
             c.attn_resolutions.size());
  SUMI_CHECK(std::isfinite(c.scale_factor) && c.scale_factor > 0.0, "{}: the scale factor is {}; it must be positive",
             source_, c.scale_factor);
}

void Checker::text(const ClipTextConfig& c) const {
  range(c.vocab_size, 1, kMaxVocabulary, "the text encoder's vocab_size");
  range(c.max_positions, 2, kMaxWidth, "the text encoder's max_position_embeddings");
  range(c.hidden_size, 1, kMaxWidth, "the text encoder's hidden_size");
  range(c.layers, 1, kMaxDepth, "the text encoder's num_hidden_layers");
  range(c.heads, 1, kMaxWidth, "the text encoder's num_attention_heads");
  range(c.intermediate_size, 1, 4 * kMaxWidth, "the text encoder's intermediate_size");
  SUMI_CHECK(c.hidden_size % c.heads == 0, "{}: {} attention heads do not divide the text encoder's {} channels",
             source_, c.heads, c.hidden_size);
  SUMI_CHECK(c.layer_norm_eps > 0.0 && c.layer_norm_eps < 1.0, "{}: layer_norm_eps is {}; it must be between 0 and 1",
             source_, c.layer_norm_eps);
}

void Checker::whole(const ModelConfig& c) const {
  unet(c.unet);
  autoencoder(c.autoencoder);
  text(c.text);
  range(c.timesteps, 1, kMaxTimesteps, "the number of training timesteps");
  for (const double beta : {c.linear_start, c.linear_end}) {
    SUMI_CHECK(beta > 0.0 && beta < 1.0, "{}: the noise schedule has a beta of {}; betas lie between 0 and 1", source_,
               beta);
  }
  range(c.default_size, 1, kMaxSize, "the picture size");
  range(c.sampling.steps, 0, 1000, "the number of sampling steps");
  SUMI_CHECK(c.sampling.scale >= 0.0 && c.sampling.scale <= 1000.0,
             "{}: the guidance scale is {}; it must be 0 to 1000", source_, c.sampling.scale);
  SUMI_CHECK(c.unet.out_channels == c.autoencoder.embed_dim,
             "{}: the UNet gives latents of {} channels and the autoencoder takes {}; they belong to different models",
             source_, c.unet.out_channels, c.autoencoder.embed_dim);
}

}  // namespace

void check_config(const ModelConfig& config, const std::string& source) { Checker(source).whole(config); }

void check_config(const AutoencoderConfig& config, const std::string& source) { Checker(source).autoencoder(config); }

void check_vocabulary(const ModelConfig& config, int64_t vocab_size) {
  SUMI_CHECK(
      vocab_size <= config.text.vocab_size,
      "the tokenizer has {} tokens and the text encoder's embedding {} rows; this tokenizer belongs to another model",
      vocab_size, config.text.vocab_size);
}

ModelConfig config_for(const io::Checkpoint& checkpoint, const std::filesystem::path& yaml) {
  if (!yaml.empty()) {
    ModelConfig config = config_from_yaml(yaml);
    // LDM keeps the factor it computed from the first latents as a buffer.
    const io::TensorInfo* kept = config.scale_by_std ? checkpoint.find("scale_factor") : nullptr;
    if (kept != nullptr && kept->shape.numel() == 1 && kept->dtype == DType::kF32) {
      config.autoencoder.scale_factor = checkpoint.tensor("scale_factor").host<float>()[0];
      config.scale_by_std = false;
      check_config(config, checkpoint.path().string());
    }
    return config;
  }
  if (const auto own = checkpoint.metadata().find(kConfigKey); own != checkpoint.metadata().end())
    return config_from_yaml_text(own->second, checkpoint.path().string());
  if (checkpoint.format() == "diffusers folder") return config_from_diffusers(checkpoint.path());
  return detect_config(checkpoint);
}

}  // namespace sumi::models
