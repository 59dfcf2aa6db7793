// From the path of a checkpoint to networks that run.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "io/checkpoint.h"
#include "models/stable_diffusion.h"
#include "sumi/engine.h"
#include "text/clip_tokenizer.h"
#include "text/find_tokenizer.h"

namespace sumi::engine {

// A model of which only names, types and shapes have been read.
struct OpenModel {
  std::filesystem::path path;
  std::string vae;  // the autoencoder in place of the model's own; empty: none; "own": none, as was asked
  std::shared_ptr<const io::Checkpoint> stored;      // as the file has it
  std::shared_ptr<const io::Checkpoint> checkpoint;  // as the networks see it: the same, unless a type was requested
  models::ModelConfig config;
  std::shared_ptr<const diffusion::NoiseSchedule> noise_schedule;
  Device device = Device::kCpu;
  bool exact = false;
  DType activations = DType::kF32;
};

// `options.name` and `options.tokenizer` are not read. Throws Error(kUsage) for an option's value, Error(kUnavailable)
// if this build does not have the backend, Error(kData) or Error(kNoInput) for the file.
OpenModel open_model(const ModelOptions& options);

// Throws as open_model does for the options that need no file.
void check_model_options(const ModelOptions& options);

// A tiny autoencoder at `path` as a model of its own, for latents of a model of that configuration; device, types and
// exactness are those of `options`, whose other fields are not read. nullopt: it is an autoencoder of another kind.
// Throws as open_model does.
std::optional<OpenModel> open_tiny_autoencoder(const std::filesystem::path& path, const models::ModelConfig& config,
                                               const ModelOptions& options);

// Binds the networks that `parts` names; device, exactness and checkpoint are the opened model's.
models::StableDiffusion load_model(const OpenModel& model, models::LoadOptions parts = {});

// The tokenizer in `folder` if one is given, else the one in the model's file, else one found by text::find_tokenizer.
// Throws Error(kNoInput) if there is none, Error(kData) if it is broken or its vocabulary does not fit the model.
text::ClipTokenizer load_tokenizer(const OpenModel& model, const std::string& folder, const text::Places& places);
// The same for a file that may be null, found at `path`; nothing is compared with a model.
text::ClipTokenizer load_tokenizer(const io::Checkpoint* file, const std::filesystem::path& path,
                                   const std::string& folder, const text::Places& places);

// Options that are words. Throw Error(kUsage), or Error(kUnavailable) for a backend not built in.
Device device_of(const ModelOptions& options);
std::optional<DType> weights_dtype_of(const ModelOptions& options);  // nullopt: as stored
DType activations_of(const ModelOptions& options);
std::optional<diffusion::Prediction> prediction_of(const ModelOptions& options);  // nullopt: as configured

// Backends that can run the networks here.
std::vector<Device> available_devices();

}  // namespace sumi::engine
