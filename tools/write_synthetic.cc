// The three forms a synthetic checkpoint is written in.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/check.h"
#include "tools/synthetic.h"
#include "tools/tensor_stream.h"

namespace sumi::tools {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

StreamedTensor streamed(const LayoutEntry& entry, DType dtype) {
  const DType stored = entry.name.ends_with("position_ids") ? DType::kI64 : dtype;
  return {entry.name, stored, entry.shape, [entry, dtype](std::span<std::byte> out) {
            const HostView<std::byte> bytes(synthetic_tensor(entry, dtype));
            std::copy(bytes.begin(), bytes.end(), out.begin());
          }};
}

void write_text(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void write_json(const fs::path& path, const Json& json) { write_text(path, json.dump(2) + "\n"); }

std::vector<int64_t> scaled(const std::vector<int64_t>& multipliers, int64_t width) {
  std::vector<int64_t> out;
  out.reserve(multipliers.size());
  for (const int64_t multiplier : multipliers) out.push_back(multiplier * width);
  return out;
}

Json unet_json(const models::ModelConfig& config) {
  const models::UNetConfig& unet = config.unet;
  std::vector<std::string> down;
  std::vector<std::string> up;
  for (size_t level = 0; level < unet.channel_mult.size(); ++level) {
    const bool attends = unet.transformer_depth[level] > 0;
    down.push_back(attends ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), attends ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  return {{"_class_name", "UNet2DConditionModel"},
          {"act_fn", "silu"},
          {"attention_head_dim", unet.num_heads},  // the number of heads despite the name, as in published folders
          {"block_out_channels", scaled(unet.channel_mult, unet.model_channels)},
          {"center_input_sample", false},
          {"cross_attention_dim", unet.context_dim},
          {"down_block_types", down},
          {"downsample_padding", 1},
          {"flip_sin_to_cos", true},
          {"freq_shift", 0},
          {"in_channels", unet.in_channels},
          {"layers_per_block", unet.num_res_blocks.at(0)},
          {"mid_block_scale_factor", 1},
          {"norm_eps", 1e-5},
          {"norm_num_groups", 32},
          {"out_channels", unet.out_channels},
          {"sample_size", config.default_size / config.autoencoder.downsampling()},
          {"up_block_types", up}};
}

Json vae_json(const models::ModelConfig& config) {
  const models::AutoencoderConfig& vae = config.autoencoder;
  return {{"_class_name", "AutoencoderKL"},
          {"act_fn", "silu"},
          {"block_out_channels", scaled(vae.ch_mult, vae.ch)},
          {"down_block_types", std::vector<std::string>(vae.ch_mult.size(), "DownEncoderBlock2D")},
          {"in_channels", vae.in_channels},
          {"latent_channels", vae.z_channels},
          {"layers_per_block", vae.num_res_blocks},
          {"norm_num_groups", 32},
          {"out_channels", vae.out_channels},
          {"sample_size", config.default_size},
          {"scaling_factor", vae.scale_factor},
          {"up_block_types", std::vector<std::string>(vae.ch_mult.size(), "UpDecoderBlock2D")}};
}

Json text_json(const models::ClipTextConfig& text) {
  return {{"architectures", Json::array({"CLIPTextModel"})},
          {"hidden_act", text.quick_gelu ? "quick_gelu" : "gelu"},
          {"hidden_size", text.hidden_size},
          {"intermediate_size", text.intermediate_size},
          {"layer_norm_eps", text.layer_norm_eps},
          {"max_position_embeddings", text.max_positions},
          {"model_type", "clip_text_model"},
          {"num_attention_heads", text.heads},
          {"num_hidden_layers", text.layers},
          {"vocab_size", text.vocab_size}};
}

Json scheduler_json(const models::ModelConfig& config) {
  return {{"_class_name", "PNDMScheduler"},
          {"beta_end", config.linear_end},
          {"beta_schedule", "scaled_linear"},
          {"beta_start", config.linear_start},
          {"clip_sample", false},
          {"num_train_timesteps", config.timesteps},
          {"prediction_type", "epsilon"},
          {"set_alpha_to_one", false},
          {"skip_prk_steps", true},
          {"steps_offset", 1}};
}

void write_tokenizer(const fs::path& folder, const fs::path& source) {
  fs::create_directories(folder);
  if (source.empty()) {
    write_byte_vocabulary(folder);
    return;
  }
  for (const char* name : {"vocab.json", "merges.txt"}) {
    std::error_code error;
    fs::copy_file(source / name, folder / name, fs::copy_options::overwrite_existing, error);
    SUMI_CHECK_KIND(kNoInput, !error, "cannot copy {} to {}: {}", (source / name).string(), folder.string(),
                    error.message());
  }
}

void write_folder(const fs::path& folder, const models::ModelConfig& config, const std::vector<LayoutEntry>& layout,
                  const SyntheticOptions& options) {
  const std::string variant = options.variant.empty() ? "" : "." + options.variant;
  for (const std::string component : {"unet", "vae", "text_encoder"}) {
    std::vector<StreamedTensor> tensors;
    for (const LayoutEntry& entry : layout) {
      if (entry.component != component) continue;
      StreamedTensor tensor = streamed(entry, options.dtype);
      tensor.name = entry.diffusers_name;
      tensor.shape = entry.diffusers_shape;
      tensors.push_back(std::move(tensor));
    }
    fs::create_directories(folder / component);
    const std::string stem = component == "text_encoder" ? "model" : "diffusion_pytorch_model";
    stream_safetensors(folder / component / (stem + variant + ".safetensors"), tensors);
  }
  write_json(folder / "unet/config.json", unet_json(config));
  write_json(folder / "vae/config.json", vae_json(config));
  write_json(folder / "text_encoder/config.json", text_json(config.text));
  fs::create_directories(folder / "scheduler");
  write_json(folder / "scheduler/scheduler_config.json", scheduler_json(config));
  write_tokenizer(folder / "tokenizer", options.tokenizer);
  write_json(folder / "model_index.json", {{"_class_name", "StableDiffusionPipeline"},
                                           {"scheduler", {"diffusers", "PNDMScheduler"}},
                                           {"text_encoder", {"transformers", "CLIPTextModel"}},
                                           {"tokenizer", {"transformers", "CLIPTokenizer"}},
                                           {"unet", {"diffusers", "UNet2DConditionModel"}},
                                           {"vae", {"diffusers", "AutoencoderKL"}}});
}

}  // namespace

void write_synthetic(const fs::path& path, const SyntheticOptions& options) {
  const models::ModelConfig config = synthetic_config(options.size);
  const std::vector<LayoutEntry> layout = checkpoint_layout(config);
  if (options.format == CheckpointFormat::kDiffusers) {
    write_folder(path, config, layout, options);
    return;
  }
  std::vector<StreamedTensor> tensors;
  tensors.reserve(layout.size());
  for (const LayoutEntry& entry : layout) tensors.push_back(streamed(entry, options.dtype));
  if (options.format == CheckpointFormat::kTorch) {
    stream_torch_checkpoint(path, tensors);
  } else {
    stream_safetensors(path, tensors);
  }
}

void write_byte_vocabulary(const fs::path& folder) {
  // CLIP's stand-ins for the 256 bytes: printable Latin-1 characters stand for themselves, the rest for U+0100 on.
  std::vector<std::string> bytes;
  const auto utf8 = [](int code) {
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    return std::string{static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
  };
  const auto printable = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
  for (int b = 0; b < 256; ++b) {
    if (printable(b)) bytes.push_back(utf8(b));
  }
  for (int b = 0, next = 256; b < 256; ++b) {
    if (!printable(b)) bytes.push_back(utf8(next++));
  }

  std::string vocabulary;  // lines of a JSON object
  int64_t id = 0;
  const auto add = [&](const std::string& token) {
    vocabulary += fmt::format("{}{}: {}", id == 0 ? "{\n" : ",\n", Json(token).dump(), id);
    ++id;
  };
  for (const auto& b : bytes) add(b);
  for (const auto& b : bytes) add(b + "</w>");
  // As many merges as CLIP has, so that ids run without a gap up to the two marks: a byte and a word's last byte.
  constexpr int64_t kStartMark = 49406;
  std::string merges = "#version: 0.2\n";
  for (const auto& last : bytes) {
    for (const auto& first : bytes) {
      if (id == kStartMark) break;
      merges += first + " " + last + "</w>\n";
      add(first + last + "</w>");
    }
  }
  add("<|startoftext|>");
  add("<|endoftext|>");
  write_text(folder / "vocab.json", vocabulary + "\n}\n");
  write_text(folder / "merges.txt", merges);
}

}  // namespace sumi::tools
