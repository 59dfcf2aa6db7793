// What the commands that train share: their options, what people watch, and the last word.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "base/progress.h"
#include "io/checkpoint.h"
#include "ranks/ranks.h"
#include "train/run.h"

namespace sumi::app {

// As they stand on the command line, beside train::RunOptions.
struct RunChoice {
  std::string data, out, seed = "42";
  bool quiet = false, json = false;

  void put_into(train::RunOptions& options) const;  // throws Error(kUsage)
};
// `captions` says what the pictures come with.
void add_run_options(CLI::App& app, RunChoice& choice, train::RunOptions& options, const std::string& captions);

// The bar, with the loss and the time left.
class TrainingWatch {
 public:
  // From now on the run is saved where the terminal is closed, too.
  explicit TrainingWatch(bool quiet);
  void note(const std::string& text);
  // Valid as long as this is. The signal to stop is theirs, too.
  train::RunHooks hooks(std::function<void(int64_t step)> on_sample = {});

 private:
  // `before` of the total were done earlier.
  void begin(const std::string& what, int64_t total, int64_t before);
  void step(const train::RunProgress& p);

  bool quiet_;
  std::string what_;
  std::unique_ptr<Progress> bar_;
  std::optional<double> mean_;  // of the loss, over about fifty steps
};

// Throws Error(kUsage) where --out lies in --data, or `result` in it would take the place of `checkpoint`.
void check_run_place(const train::RunOptions& options, const std::filesystem::path& checkpoint,
                     const std::string& result);

// Throws Error(kUnavailable) where this machine has not that much memory.
void check_training_memory(int64_t bytes);

// Says what a run would take, on the terminal or as JSON; returns the exit code.
int report_plan(int64_t pictures, const train::RunPlan& plan, int64_t steps, const RunChoice& choice);

// Says how a run that made `file` went, on the terminal or as JSON; returns the exit code. Throws Error(kCancelled) for
// one that was stopped.
int report_run(const train::RunResult& result, const RunChoice& choice, const std::filesystem::path& file,
               TrainingWatch& watch);

}  // namespace sumi::app
