// Options that several commands share.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/sampling.h"
#include "engine/open_model.h"
#include "text/clip_tokenizer.h"
#include "text/network_tags.h"

namespace sumi::app {

// Backend, threads and number types.
struct EngineOptions {
  std::string backend = "cpu";
  std::optional<int64_t> threads;
  std::string dtype = "auto";
  bool exact = false;
  std::string precision = "autocast";

  Device device() const;  // throws Error(kUsage), or Error(kUnavailable) for a backend not built in
  std::optional<DType> weights_dtype() const;  // nullopt: as in the file; throws Error(kUsage)
  DType activations() const;                   // the type for --precision; throws Error(kUsage)
  void apply() const;  // sets the number of threads and checks the other options; throws Error(kUsage)
};
// Options of every command that computes; --dtype and --exact only `with_weights`.
void add_engine_options(CLI::App& app, EngineOptions& options, bool with_weights = true);
// --precision, for commands that run the networks without training them.
void add_precision_option(CLI::App& app, EngineOptions& options);

// The model to use.
struct ModelChoice {
  std::string checkpoint;
  std::string config;
  std::string tokenizer;
  std::string prediction = "auto";
  std::vector<std::string> loras;  // FILE or FILE:WEIGHT
  std::string lora_folder;         // searched first for LoRAs named in prompts
  std::vector<text::LoraTag> named_loras;

  engine::ModelOptions options(const EngineOptions& engine) const;
  std::optional<diffusion::Prediction> parsed_prediction() const;
  // LoRAs given as files, then those named in prompts. Throws Error(kUsage), or Error(kNoInput) that lists the folders
  // searched.
  std::vector<engine::LoraChoice> parsed_loras() const;
  // The tokenizer given, else the one in `file`, else the one found beside the model or on this machine.
  text::ClipTokenizer load_tokenizer(const std::filesystem::path& model_path, const io::Checkpoint* file) const;
};
void add_model_options(CLI::App& app, ModelChoice& choice, bool with_tokenizer = true);

// The checkpoint to use without --ckpt: $SUMI_MODEL, the original's default path, the one model in sumi's data folder,
// or the bundled one. Throws Error(kNoInput) that says how to get one.
std::filesystem::path default_checkpoint();

// As one line, with invalid UTF-8 in names replaced.
std::string as_line(const nlohmann::ordered_json& json);

// Whether the file has tensors of the network with these names.
bool has_network(const io::Checkpoint& file, std::string_view prefix);

// Bundled models, in the source tree or under the installation prefix; and those in sumi's data folder.
std::vector<std::filesystem::path> bundled_models();
std::vector<std::filesystem::path> own_models();

// "ddim" or "DPM++ 2M Karras" to the registered names; an alias's schedule and an explicit one must agree, and the
// sampler must support the schedule. Conditions on the model or the number of steps are checked later.
void set_sampler(diffusion::SampleOptions& options, const std::string& sampler, const std::string& schedule);

}  // namespace sumi::app
