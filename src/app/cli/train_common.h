// Shared by the training commands: options, progress and the final report.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "app/cli/process.h"
#include "base/progress.h"
#include "io/checkpoint.h"
#include "ranks/ranks.h"
#include "train/run.h"

namespace sumi::app {

// As given on the command line, in addition to train::RunOptions.
struct RunChoice {
  std::string background = "white";
  std::string data, out, seed = "42";
  bool quiet = false, json = false;

  void put_into(train::RunOptions& options) const;  // throws Error(kUsage)
};
// `captions` describes the pictures' captions in the help of --data.
void add_run_options(CLI::App& app, RunChoice& choice, train::RunOptions& options, const std::string& captions);

// The bar, with the loss and the time left.
class TrainingWatch {
 public:
  // From now on closing the terminal also saves the run.
  explicit TrainingWatch(bool quiet);
  void note(const std::string& text);
  // Valid as long as this object. They also pass on the signal to stop.
  train::RunHooks hooks(std::function<void(int64_t step)> on_sample = {});

 private:
  // `before` of the total were done earlier.
  void begin(const std::string& what, int64_t total, int64_t before);
  void step(const train::RunProgress& p);

  StopsItself stops_;
  bool quiet_;
  std::string what_;
  std::unique_ptr<Progress> bar_;
  std::optional<double> mean_;  // moving mean of the loss over about fifty steps
};

// Throws Error(kUsage) if --out lies in --data, or `result` in it would overwrite `checkpoint`.
void check_run_place(const train::RunOptions& options, const std::filesystem::path& checkpoint,
                     const std::string& result);

// Throws Error(kUnavailable) if this machine does not have that much memory.
void check_training_memory(int64_t bytes);

// Prints the memory and time of a run, as text or JSON; returns the exit code.
int report_plan(int64_t pictures, const train::RunPlan& plan, int64_t steps, const RunChoice& choice);

// Prints the result of a run that wrote `file`, as text or JSON; returns the exit code. Throws Error(kCancelled) for
// one that was stopped.
int report_run(const train::RunResult& result, const RunChoice& choice, const std::filesystem::path& file,
               TrainingWatch& watch);

}  // namespace sumi::app
