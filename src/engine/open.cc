#include "engine/open.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "engine/cast_checkpoint.h"
#include "models/loading/autoencoder_file.h"
#include "models/loading/open.h"
#include "ops/conv.h"

namespace sumi::engine {

namespace fs = std::filesystem;

std::vector<Device> available_devices() {
  std::vector<Device> devices;
  for (int i = 0; i < kDeviceCount; ++i) {
    const auto device = static_cast<Device>(i);
    if (conv2d_slot.has(device)) devices.push_back(device);
  }
  return devices;
}

Device device_of(const ModelOptions& options) {
  const Device device = device_from_name(options.backend);
  const auto there = available_devices();
  std::string names;
  for (const Device one : there) names += (names.empty() ? "" : ", ") + std::string(name_of(one));
  SUMI_CHECK_KIND(kUnavailable, std::find(there.begin(), there.end(), device) != there.end(),
                  "this build does not have the backend {}; it has {}", options.backend, names);
  return device;
}

std::optional<DType> weights_dtype_of(const ModelOptions& options) {
  if (options.dtype == "auto") return std::nullopt;
  const DType type = dtype_from_name(options.dtype);
  SUMI_CHECK_KIND(kUsage, is_weight_type(type) && (!is_quantized(type) || is_writable_quantized(type)),
                  "`dtype` must be auto, f32, f16, bf16, q8_0 or q4_0, not {}", options.dtype);
  return type;
}

DType activations_of(const ModelOptions& options) {
  const std::string& name = options.precision;
  if (name == "full" || name == "autocast") return DType::kF32;
  SUMI_CHECK_KIND(kUsage, name == "f16" || name == "bf16", "`precision` must be full, f16, bf16 or autocast, not {}",
                  name);
  return dtype_from_name(name);
}

std::optional<diffusion::Prediction> prediction_of(const ModelOptions& options) {
  if (options.prediction == "auto") return std::nullopt;
  const auto parsed = diffusion::prediction_of(options.prediction);
  SUMI_CHECK_KIND(kUsage, parsed, "`prediction` must be eps, v, x0 or auto, not {}", options.prediction);
  return parsed;
}

void check_model_options(const ModelOptions& options) {
  device_of(options);
  weights_dtype_of(options);
  activations_of(options);
  prediction_of(options);
}

namespace {

// Puts the autoencoder that the options name, or one beside the checkpoint, in place of the model's.
void choose_autoencoder(const ModelOptions& options, OpenModel& model) {
  model.vae = options.vae;
  if (options.vae == "own") return;
  fs::path path = options.vae;
  if (path.empty()) {
    path = models::autoencoder_beside(options.path);
    if (path.empty()) return;
    warn("{}: the autoencoder beside it, {}, is used in place of its own (`vae` \"own\" keeps that)", options.path,
         path.filename().string());
    model.vae = path.string();
  }
  const models::AutoencoderFile chosen = models::open_autoencoder(path, model.config);
  const double own = model.config.autoencoder.scale_factor;
  if (chosen.config.scale_factor != own)
    warn("{}: its latents are scaled by {}, and the model's by {}; the model's is used", path.string(),
         chosen.config.scale_factor, own);
  model.config.autoencoder = chosen.config;
  model.config.autoencoder.scale_factor = own;
  model.stored = models::with_autoencoder(model.stored, chosen.file);
}

}  // namespace

OpenModel open_model(const ModelOptions& options) {
  OpenModel model;
  model.path = options.path;
  model.device = device_of(options);
  model.exact = options.exact;
  model.activations = activations_of(options);
  const auto dtype = weights_dtype_of(options);
  const auto prediction = prediction_of(options);
  model.stored = models::open_model_files(options.path, options.variant);
  model.config = models::config_for(*model.stored, options.config);
  choose_autoencoder(options, model);
  model.checkpoint = dtype ? cast_checkpoint(model.stored, *dtype) : model.stored;
  if (prediction) model.config.prediction = *prediction;
  const models::ModelConfig& c = model.config;
  model.noise_schedule = std::make_shared<const diffusion::NoiseSchedule>(
      diffusion::make_noise_schedule(c.beta_schedule, c.timesteps, c.linear_start, c.linear_end));
  return model;
}

std::optional<OpenModel> open_tiny_autoencoder(const fs::path& path, const models::ModelConfig& config,
                                               const ModelOptions& options) {
  const models::AutoencoderFile chosen = models::open_autoencoder(path, config);
  if (!chosen.tiny) return std::nullopt;
  const auto dtype = weights_dtype_of(options);
  return OpenModel{.path = path,
                   .stored = chosen.file,
                   .checkpoint = dtype ? cast_checkpoint(chosen.file, *dtype) : chosen.file,
                   .config = config,
                   .device = device_of(options),
                   .exact = options.exact,
                   .activations = activations_of(options)};
}

models::StableDiffusion load_model(const OpenModel& model, models::LoadOptions parts) {
  parts.device = model.device;
  parts.exact = model.exact;
  parts.activations = model.activations;
  parts.noise_schedule = model.noise_schedule;
  return models::StableDiffusion::load(model.checkpoint, model.config, parts);
}

text::ClipTokenizer load_tokenizer(const io::Checkpoint* file, const fs::path& path, const std::string& folder,
                                   const text::Places& places) {
  if (file != nullptr && folder.empty()) {
    const auto& metadata = file->metadata();
    const auto vocabulary = metadata.find(models::kVocabularyKey), merges = metadata.find(models::kMergesKey);
    const auto added = metadata.find(models::kAddedTokensKey);
    if (vocabulary != metadata.end() && merges != metadata.end()) {
      const std::string name = file->path().string();
      return text::ClipTokenizer::parse({.vocabulary = vocabulary->second,
                                         .merges = merges->second,
                                         .vocabulary_source = name + ", its vocabulary",
                                         .merges_source = name + ", its merges",
                                         .added = added == metadata.end() ? std::string() : added->second,
                                         .added_source = name + ", its added tokens"});
    }
  }
  std::optional<fs::path> chosen;
  if (!folder.empty()) chosen = folder;
  return text::ClipTokenizer::load(text::find_tokenizer(chosen, path, places));
}

namespace {

// A text encoder that was trained with words of its own has rows beyond CLIP's, and a file that tells the words.
void check_added_rows(const OpenModel& model, int64_t known) {
  constexpr int64_t kClip = 49408;
  const int64_t rows = model.config.text.vocab_size;
  if (rows <= std::max(known, kClip)) return;
  const bool folder = model.stored->format() == "diffusers folder";
  SUMI_CHECK(!folder,
             "{}: its text encoder has {} rows and its tokenizer {} tokens; the words of the others are missing: "
             "added_tokens.json, or tokenizer.json, in its tokenizer folder",
             model.path.string(), rows, known);
  warn(
      "{}: the text encoder has {} rows and the tokenizer {} tokens; the words of the others are not known (they are "
      "in an added_tokens.json, in a folder for `tokenizer`)",
      model.path.string(), rows, known);
}

}  // namespace

text::ClipTokenizer load_tokenizer(const OpenModel& model, const std::string& folder, const text::Places& places) {
  text::ClipTokenizer tokenizer = load_tokenizer(model.stored.get(), model.path, folder, places);
  models::check_vocabulary(model.config, tokenizer.vocab_size());
  check_added_rows(model, tokenizer.vocab_size());
  return tokenizer;
}

}  // namespace sumi::engine
