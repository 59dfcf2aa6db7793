// A text-to-image job from the command line, shared by its two forms.
#pragma once

#include <functional>

#include "app/cli/common.h"
#include "engine/txt2img.h"

namespace sumi::app {

struct GenerateJob {
  engine::Txt2ImgRequest request;
  EngineOptions engine;
  ModelChoice model;
  bool quiet = false;           // only errors on standard error
  bool json = false;            // one JSON object on standard output instead of the files' names
  bool seed_was_drawn = false;  // then it is printed
  // Values that the command line leaves open and the model may set: its size and drawing defaults.
  bool width_from_model = false, height_from_model = false;
  bool sampler_from_model = false, steps_from_model = false, scale_from_model = false;
};

// The report at the end.
struct Written {
  std::filesystem::path file;
  std::string prompt;
};
struct GenerateReport {
  std::vector<Written> images;
  std::vector<std::filesystem::path> grids;
};

// The output: `begin` is called once all checks are done and the weights are loaded, `picture` for each picture, `end`
// after the last.
struct GenerateOutput {
  std::function<void()> begin;
  std::function<void(const engine::Picture& picture, const std::string& parameters, GenerateReport& report)> picture;
  std::function<void(const std::string& parameters, GenerateReport& report)> end;
};

// Opens the job's model and fills in what the command line leaves open in `request`: size, sampler, steps, scale.
// Throws Error.
engine::OpenModel open_for(const GenerateJob& job, engine::Txt2ImgRequest& request);

// Opens the model, prints how much memory the job will take, refuses a job that does not fit, loads, draws and reports.
// The outputs must have been checked before. Throws Error.
void generate(const GenerateJob& job, const GenerateOutput& output);

// Options of both forms: sampler, size, guidance, seed, engine, model and terminal output. The values here are the
// defaults.
struct SharedFlags {
  std::string sampler = "ddim", schedule, negative_prompt, seed = "42", syntax = "exact", rng = "cpu";
  std::optional<int64_t> width, height;  // nullopt: left to the caller
  int64_t steps = 50;
  double scale = 7.5, eta = 0.0;
};
void add_shared_flags(CLI::App& app, SharedFlags& flags, GenerateJob& job);
// Moves the <lora:NAME:WEIGHT> tags from the prompts to the model options. All prompts must have the same tags. Throws
// Error(kUsage).
void take_lora_tags(GenerateJob& job);
// Whether the command line names a sampler: by --sampler, --plms or --dpm-solver.
bool names_sampler(const CLI::App& app);
// Copies the flags given to `app` into the job; throws Error(kUsage) for invalid values.
void apply_shared_flags(const CLI::App& app, const SharedFlags& flags, GenerateJob& job);

}  // namespace sumi::app
