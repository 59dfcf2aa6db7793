// The training loop that all trainers share: steps, checkpoints, metrics, samples and the end of a run.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/upright.h"
#include "models/config.h"
#include "ranks/ranks.h"
#include "train/lr_schedule.h"
#include "train/run_folder.h"

namespace sumi::train {

struct RunOptions {
  std::filesystem::path data, out;
  int64_t size = 0;                   // pixels a side; 0: the model's
  int64_t batch = 4, accumulate = 1;  // pictures at once on each rank; batches per step
  LrSchedule lr{.peak = 1e-5, .steps = 1000};
  bool flip = false;                         // mirror pictures half of the time
  image::Colour background = image::kWhite;  // under see-through pixels
  bool resume = false;
  uint64_t seed = 42;
  int64_t save_every = 500;    // steps
  int64_t sample_every = 500;  // steps, if there is something to sample
  std::string model;           // name of the starting model, kept in checkpoints
};

// Throws Error(kUsage). The pictures' sides must be multiples of `factor`.
void check_run_options(const RunOptions& options, int64_t factor);
// Throws Error(kUsage) that names the field `name` unless `value` is from `least` to `most`.
void check_range(const char* name, double value, double least, double most);

struct RunProgress {
  int64_t step, steps;  // done; of the whole run
  double loss, grad_norm, lr, seconds;
  bool skipped;  // the loss was not finite
};

struct RunHooks {
  std::function<void(const RunProgress&)> on_step;
  std::function<void(int64_t done, int64_t total)> on_latent;  // pictures encoded before the first step
  std::function<void(const std::string&)> note;
  // Draws samples after `step` steps, with the averaged weights in the model. If it throws Error, the run notes it and
  // continues.
  std::function<void(int64_t step)> on_sample = {};
  const std::atomic<bool>* cancel = nullptr;
};

struct RunResult {
  int64_t steps = 0, skipped_steps = 0, skipped_pictures = 0;
  double last_loss = 0.0;
  bool stopped = false;  // stopped before the end, and saved
};

// The memory and time of a run.
struct RunPlan {
  int64_t trained_values = 0;
  int64_t bytes = 0;     // of allocated memory at the peak: parameters, gradients, optimizer, averages, activations
  double seconds = 0.0;  // per step
  double seconds_a_picture = 0.0;  // to encode it, before the first step
};
// Runs `step` twice and records the second run's time and the peak memory.
void measure(RunPlan& plan, const std::function<void()>& step);

// A hash of the configuration, for notes. It does not cover the drawing defaults.
// Checkpoints made before the attention's levels were written coarsest first have it as "configuration"; those now have
// it as "model configuration", so that older runs can be resumed.
std::string fingerprint(models::ModelConfig config);
std::string fingerprint(const models::AutoencoderConfig& config);

// Random streams, one for each step, pass over the data or batch of pictures. A checkpoint need not save their state.
enum class Stream : unsigned char { kStep, kOrder, kPictures };
uint64_t stream_seed(uint64_t seed, Stream stream, int64_t number);

// This rank's part of each batch: of `all` examples, `count` from `begin` on. Every rank draws the random numbers of
// all examples, so several ranks see the same numbers as one rank with the whole batch.
struct BatchShare {
  BatchShare(const Ranks& ranks, int64_t batch)
      : all(batch * ranks.size()), begin(batch * ranks.rank()), count(batch) {}
  int64_t all, begin, count;
};

// The order of the examples, shuffled again for each pass over them.
class ExampleOrder {
 public:
  ExampleOrder(int64_t count, uint64_t seed) : count_(count), seed_(seed) {}
  // The index, below `count`, of the run's number-th example.
  int64_t operator()(int64_t number);

 private:
  int64_t count_, pass_ = -1;
  uint64_t seed_;
  std::vector<int64_t> order_;  // in pass `pass_`
};

// The result of one step. If `usable` is false, nothing was changed.
struct StepResult {
  double loss = 0.0, grad_norm = 0.0, lr = 0.0;
  bool usable = true;
  std::vector<double> more = {};  // values of Steps::more_columns
};

// Under mpirun every rank makes one, and all do the same steps; only the first writes.
class Run {
 public:
  // Locks the folder. Throws Error(kUsage) if it holds a run and options.resume is not set, and as RunFolder does.
  Run(const RunOptions& options, const RunHooks& hooks);

  // Adds parameters to train, with an optimizer and, for `ema` above 0, averages. The reference stays valid.
  TrainedGroup& add(std::vector<NamedTensor> params, const AdamWOptions& optimizer, double ema = 0.0);

  // Resumes from the last undamaged checkpoint, if there is one. `notes` are everything, beside the options, that must
  // be equal for the run to give the same bytes; learning rate and steps may differ. Throws Error(kUsage) that lists
  // all differences. Call once, after add().
  void restore(std::map<std::string, std::string> notes);

  struct Steps {
    std::vector<std::string> more_columns;  // in metrics.csv: names of StepResult::more
    // Does the step-th step, counted from 0.
    std::function<StepResult(int64_t step)> step;
    // For the report, in addition to the facts of every run.
    std::function<std::map<std::string, std::string>()> facts;
    std::function<int64_t()> skipped_pictures;  // so far
  };
  // Runs all steps, or until asked to stop. Throws Error(kInternal) after twenty losses in a row that are not finite.
  RunResult run(const Steps& steps);

  const Ranks& ranks() const { return ranks_; }
  // Means over all ranks, in place.
  void mean_over_ranks(std::span<double> values) const;

 private:
  void check_notes(const std::map<std::string, std::string>& kept) const;
  void check_ranks_agree() const;
  bool cancelled() const;
  void save();
  void sample();
  void one_step(const Steps& steps);

  const RunOptions& options_;
  const RunHooks& hooks_;
  const Ranks& ranks_;
  RunFolder folder_;
  std::deque<TrainedGroup> groups_;
  std::map<std::string, std::string> notes_;
  int64_t step_ = 0, saved_ = -1, in_a_row_ = 0;
  RunResult result_;
};

}  // namespace sumi::train
