// What a model is made of: the sizes of its three networks and its noise schedule.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "diffusion/process.h"
#include "io/checkpoint.h"

namespace sumi::models {

// LDM's UNetModel (openaimodel.py). unet/topology.h derives the layers from it.
struct UNetConfig {
  int64_t in_channels = 4, out_channels = 4, model_channels = 320;
  std::vector<int64_t> num_res_blocks{2};         // one for all levels, or one per level
  std::vector<int64_t> channel_mult{1, 2, 4, 4};  // one per level, the finest first
  // Transformer blocks after each residual block, one number per level; 0: the level has no attention. LDM has this in
  // two keys, `attention_resolutions` and `transformer_depth`.
  std::vector<int64_t> transformer_depth{1, 1, 1, 0};
  int64_t middle_depth = 1;  // the same for the middle block, which always attends
  int64_t num_heads = -1;    // this or num_head_channels
  int64_t num_head_channels = -1;
  bool use_spatial_transformer = true;  // else LDM's plain AttentionBlock, of depth 1
  int64_t context_dim = 768;            // 0: no context (self-attention in its place)
  bool use_linear_in_transformer = false;
  bool use_scale_shift_norm = false;
  bool resblock_updown = false;
  bool conv_resample = true;
  bool legacy = true;        // LDM's rule for the head width if num_head_channels is given
  int64_t norm_groups = 32;  // of its group norms; LDM always has 32
  bool operator==(const UNetConfig&) const = default;
};

// LDM's AutoencoderKL.
struct AutoencoderConfig {
  int64_t embed_dim = 4, z_channels = 4, in_channels = 3, out_channels = 3, ch = 128, resolution = 256;
  std::vector<int64_t> ch_mult{1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<int64_t> attn_resolutions{};
  int64_t norm_groups = 32;  // of its group norms; LDM always has 32
  double scale_factor = 0.18215;
  int64_t downsampling() const { return int64_t{1} << (ch_mult.size() - 1); }
  bool operator==(const AutoencoderConfig&) const = default;
};

// How an autoencoder is trained: LDM's LPIPSWithDiscriminator, with the defaults of LDM's configurations.
struct AutoencoderLossConfig {
  double kl_weight = 1e-6;
  double perceptual_weight = 1.0;
  double disc_weight = 0.5;    // of the discriminator, times its adaptive weight; 0: no discriminator
  int64_t disc_start = 50001;  // the step from which it is used
  int64_t disc_layers = 3;     // its layers that halve the picture
  int64_t disc_width = 64;     // channels of its first layer
};

// CLIP text transformer (openai/clip-vit-large-patch14 by default).
struct ClipTextConfig {
  int64_t vocab_size = 49408, max_positions = 77, hidden_size = 768, layers = 12, heads = 12, intermediate_size = 3072;
  bool quick_gelu = true;  // else the exact GELU
  double layer_norm_eps = 1e-5;
  bool operator==(const ClipTextConfig&) const = default;
};

// The settings that the model's makers recommend.
struct SamplingDefaults {
  std::string sampler;  // empty: not stated
  int64_t steps = 0;    // 0: not stated
  double scale = 0.0;   // of the guidance; 0: not stated
  bool operator==(const SamplingDefaults&) const = default;
};

struct ModelConfig {
  std::string family;  // "sd1", "ldm"
  UNetConfig unet;
  AutoencoderConfig autoencoder;
  ClipTextConfig text;
  std::string beta_schedule = "linear";
  int timesteps = 1000;
  double linear_start = 0.00085, linear_end = 0.012;
  diffusion::Prediction prediction = diffusion::Prediction::kEpsilon;
  int64_t default_size = 512;  // pixels
  bool scale_by_std = false;   // training must compute the scale factor from the first latents
  SamplingDefaults sampling;
  bool operator==(const ModelConfig&) const = default;
};

// Throws Error(kData) if the sizes do not make a network (zero or huge widths, heads that do not divide the channels,
// …); the message begins with `source`, where they come from.
void check_config(const ModelConfig& config, const std::string& source = "the configuration");

// The same for an autoencoder alone.
void check_config(const AutoencoderConfig& config, const std::string& source);

// Throws Error(kData) if a tokenizer of `vocab_size` tokens has ids beyond the text encoder's embedding.
void check_vocabulary(const ModelConfig& config, int64_t vocab_size);

// From an LDM YAML file. Unknown keys are ignored with a warning; unsupported parts (a VQ autoencoder, class labels,
// another text encoder) throw Error(kData).
ModelConfig config_from_yaml(const std::filesystem::path& path);
// The same from the file's contents; `source` names it in messages.
ModelConfig config_from_yaml_text(const std::string& text, const std::string& source);
// An LDM YAML file from which config_from_yaml reads this configuration. Beside LDM's keys it has `sampling`, with
// sampler, steps and scale.
std::string config_to_yaml(const ModelConfig& config);

// Metadata keys under which sumi's own files keep their configuration (YAML) and tokenizer.
inline constexpr const char* kConfigKey = "sumi.config";
inline constexpr const char* kVocabularyKey = "sumi.vocabulary";
inline constexpr const char* kMergesKey = "sumi.merges";
inline constexpr const char* kAddedTokensKey = "sumi.added_tokens";  // JSON, token -> id; may be missing
inline constexpr const char* kAboutKey = "sumi.about";               // where the model comes from, for people

// The autoencoder of an LDM YAML file, a whole model's or an autoencoder's own (autoencoder_kl_32x32x4.yaml), and the
// loss it names ("lossconfig"), if any.
struct AutoencoderTraining {
  AutoencoderConfig model;
  AutoencoderLossConfig loss;
};
AutoencoderTraining autoencoder_from_yaml(const std::filesystem::path& path);
// From a diffusers folder's component configs (unet/config.json, vae/config.json, text_encoder/config.json,
// scheduler/scheduler_config.json). Unknown custom-code fields are ignored with a warning.
ModelConfig config_from_diffusers(const std::filesystem::path& folder);
// The same for the folder of an autoencoder alone, with its config.json.
AutoencoderConfig autoencoder_from_diffusers(const std::filesystem::path& folder);
// From names and shapes alone. Throws Error(kData) that names the kind of file, or what it lacks.
ModelConfig detect_config(const io::Checkpoint& checkpoint);
// The sizes of the UNet alone, also of one that is there only as running averages; heads are not among them.
UNetConfig detect_unet(const io::Checkpoint& checkpoint);
// The same for the autoencoder alone; the common one if the file has no decoder.
AutoencoderConfig detect_autoencoder(const io::Checkpoint& checkpoint);

// The configuration for `checkpoint`: `yaml` if given, else the file's or folder's own, else detected. All are checked.
ModelConfig config_for(const io::Checkpoint& checkpoint, const std::filesystem::path& yaml);

}  // namespace sumi::models
