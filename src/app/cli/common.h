// Options that several commands share, and what they mean to the library.
#pragma once

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/open.h"
#include "sumi/engine.h"

namespace sumi::app {

// Backend, threads and number types.
struct EngineFlags {
  std::string backend = "cpu";
  std::optional<int64_t> threads;
  std::string dtype = "auto";
  bool exact = false;
  std::string precision = "autocast";

  void check() const;  // throws Error
  // Checks the options and sets the number of threads of the process's own pool, for commands that compute outside an
  // engine. Throws Error.
  void apply() const;
  EngineOptions options() const;  // of an engine; throws Error(kUsage)
};
// Options of every command that computes; --dtype and --exact only `with_weights`.
void add_engine_options(CLI::App& app, EngineFlags& flags, bool with_weights = true);
// --precision, for commands that run the networks without training them.
void add_precision_option(CLI::App& app, EngineFlags& flags);

// The model to use.
struct ModelChoice {
  std::string checkpoint;
  std::string config;
  std::string vae;
  std::string preview_vae;
  std::string tokenizer;
  std::string prediction = "auto";

  // Where no checkpoint is given, the one that find_model.h finds.
  ModelOptions options(const EngineFlags& engine) const;
};
void add_model_options(CLI::App& app, ModelChoice& choice, bool with_tokenizer = true);
// --preview-vae, for commands that show previews.
void add_preview_vae_option(CLI::App& app, ModelChoice& choice);

// FILE, FILE:WEIGHT or FILE:unet=WEIGHT,text=WEIGHT. Throws Error(kUsage).
Lora parse_lora(const std::string& text);

// As one line, with invalid UTF-8 in names replaced.
std::string as_line(const nlohmann::ordered_json& json);

// Warns of what the model has said since the call that left `told`, 0 at first.
void tell_warnings(const Model& model, size_t& told);

// Runs the job; a signal cancels it within a step.
void run_job(Job& job, const Hooks& hooks);

}  // namespace sumi::app
