// Options that several commands share.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/sampling.h"
#include "pipeline/open_model.h"
#include "text/clip_tokenizer.h"
#include "text/network_tags.h"

namespace sumi::app {

// Where it computes.
struct EngineOptions {
  std::string backend = "cpu";
  std::optional<int64_t> threads;
  std::string dtype = "auto";
  bool exact = false;
  std::string precision = "autocast";

  Device device() const;  // throws Error(kUsage), or Error(kUnavailable) for a backend not built in
  std::optional<DType> weights_dtype() const;  // none: as the file has them; throws Error(kUsage)
  DType activations() const;                   // what --precision comes to; throws Error(kUsage)
  void apply() const;  // sets the number of threads; throws Error(kUsage); also checks the others
};
// Those on the weights' type and on exactness only where they mean something.
void add_engine_options(CLI::App& app, EngineOptions& options, bool with_weights = true);
// --precision, for commands that run the networks without training them.
void add_precision_option(CLI::App& app, EngineOptions& options);

// Which model.
struct ModelChoice {
  std::string checkpoint;
  std::string config;
  std::string tokenizer;
  std::string prediction = "auto";
  std::vector<std::string> loras;  // FILE or FILE:WEIGHT
  std::string lora_folder;         // where those that prompts name are looked for first
  std::vector<text::LoraTag> named_loras;

  pipeline::ModelOptions options(const EngineOptions& engine) const;
  std::optional<diffusion::Prediction> parsed_prediction() const;
  // Those named by file, then those named in prompts. Throws Error(kUsage), or Error(kNoInput) that lists where a name
  // was looked for.
  std::vector<pipeline::LoraChoice> parsed_loras() const;
  // The one named, else the one that `file` carries, else the one found beside the model or on this machine.
  text::ClipTokenizer load_tokenizer(const std::filesystem::path& model_path, const io::Checkpoint* file) const;
};
void add_model_options(CLI::App& app, ModelChoice& choice, bool with_tokenizer = true);

// The checkpoint to use where none is named: $SUMI_MODEL, the original's default place, the one model in sumi's data
// folder, or the one that came with the program. Throws Error(kNoInput) that says how to get one.
std::filesystem::path default_checkpoint();

// On one line, bytes of names that are not UTF-8 replaced.
std::string as_line(const nlohmann::ordered_json& json);

// Whether the file has a network under those names.
bool has_network(const io::Checkpoint& file, std::string_view prefix);

// Models that came with the program: in its source tree or under the prefix where it is installed. And those in sumi's
// data folder.
std::vector<std::filesystem::path> bundled_models();
std::vector<std::filesystem::path> own_models();

// "ddim" or "DPM++ 2M Karras" to the registered names; an alias's schedule and an explicit one must agree, and
// schedule and sampler go together. What depends on the model or the number of steps is checked later.
void set_sampler(diffusion::SampleOptions& options, const std::string& sampler, const std::string& schedule);

}  // namespace sumi::app
