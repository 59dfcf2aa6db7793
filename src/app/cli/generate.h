// A text-to-image job from the command line: what its two forms have in common.
#pragma once

#include <functional>

#include "app/cli/common.h"
#include "pipeline/txt2img.h"

namespace sumi::app {

struct GenerateJob {
  pipeline::Txt2ImgRequest request;
  EngineOptions engine;
  ModelChoice model;
  bool quiet = false;           // nothing on standard error but errors
  bool json = false;            // one JSON object on standard output instead of the files' names
  bool seed_was_drawn = false;  // then it is told
  // What nobody chose, and the model may have a word on: the size it was made for, and how it is best drawn with.
  bool width_from_model = false, height_from_model = false;
  bool sampler_from_model = false, steps_from_model = false, scale_from_model = false;
};

// What is told at the end.
struct Written {
  std::filesystem::path file;
  std::string prompt;
};
struct GenerateReport {
  std::vector<Written> images;
  std::vector<std::filesystem::path> grids;
};

// Where pictures go: `begin` is called once nothing is left to check and the weights are loaded, `picture` as each
// comes, `end` after the last.
struct GenerateOutput {
  std::function<void()> begin;
  std::function<void(const pipeline::Picture& picture, const std::string& parameters, GenerateReport& report)> picture;
  std::function<void(const std::string& parameters, GenerateReport& report)> end;
};

// Opens the job's model and completes `request` with what the model says where nobody chose: size, sampler, steps,
// scale. Throws Error.
pipeline::OpenModel open_for(const GenerateJob& job, pipeline::Txt2ImgRequest& request);

// Opens the model, says how much memory the job will take and refuses what cannot fit, loads, draws, reports. The
// outputs must have been checked before. Throws Error.
void generate(const GenerateJob& job, const GenerateOutput& output);

// Options of both forms: sampler, size, guidance, seed, engine, model, and what goes to the terminal. The values given
// here are the defaults.
struct SharedFlags {
  std::string sampler = "ddim", schedule, negative_prompt, seed = "42", syntax = "exact", rng = "cpu";
  std::optional<int64_t> width, height;  // none: left to the caller
  int64_t steps = 50;
  double scale = 7.5, eta = 0.0;
};
void add_shared_flags(CLI::App& app, SharedFlags& flags, GenerateJob& job);
// Takes the <lora:NAME:WEIGHT> tags out of the prompts, which must all have the same, and notes them for the model.
// Throws Error(kUsage).
void take_lora_tags(GenerateJob& job);
// Whether the command line names a sampler: by --sampler, --plms or --dpm-solver.
bool names_sampler(const CLI::App& app);
// Puts the flags into the job, where `app` was given them; throws Error(kUsage) for what makes no sense.
void apply_shared_flags(const CLI::App& app, const SharedFlags& flags, GenerateJob& job);

}  // namespace sumi::app
