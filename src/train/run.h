// What every training run does, whatever it trains: steps, checkpoints, metrics, samples and an end.
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

#include "models/config.h"
#include "ranks/ranks.h"
#include "train/lr_schedule.h"
#include "train/run_folder.h"

namespace sumi::train {

struct RunOptions {
  std::filesystem::path data, out;
  int64_t size = 0;                   // pixels a side; 0: the model's
  int64_t batch = 4, accumulate = 1;  // pictures at once on each rank; batches a step
  LrSchedule lr{.peak = 1e-5, .steps = 1000};
  bool flip = false;  // pictures mirrored half the time
  bool resume = false;
  uint64_t seed = 42;
  int64_t save_every = 500;    // steps
  int64_t sample_every = 500;  // steps, where there is something to sample
  std::string model;           // name of what training starts from, for the record
};

// Throws Error(kUsage). `factor` divides the pictures' sides.
void check_run_options(const RunOptions& options, int64_t factor);
// Throws Error(kUsage) that names the option.
void check_range(const char* name, double value, double least, double most);

struct RunProgress {
  int64_t step, steps;  // done, of all
  double loss, grad_norm, lr, seconds;
  bool skipped;  // the loss was no number
};

struct RunHooks {
  std::function<void(const RunProgress&)> on_step;
  std::function<void(int64_t done, int64_t total)> on_latent;  // of pictures encoded beforehand
  std::function<void(const std::string&)> note;
  // Draws something with the model as it is after `step` steps, the averaged weights in place. An Error of it is noted,
  // and the run goes on.
  std::function<void(int64_t step)> on_sample = {};
  const std::atomic<bool>* cancel = nullptr;
};

struct RunResult {
  int64_t steps = 0, skipped_steps = 0, skipped_pictures = 0;
  double last_loss = 0.0;
  bool stopped = false;  // before the end, saved
};

// What a run will cost.
struct RunPlan {
  int64_t trained_values = 0;
  int64_t bytes = 0;     // of fresh memory at the peak: parameters, gradients, optimizer, averages, activations
  double seconds = 0.0;  // a step
  double seconds_a_picture = 0.0;  // before the first step: to encode it
};
// Runs `step` twice, once to warm up, and notes the time of the second and the memory at the peak.
void measure(RunPlan& plan, const std::function<void()>& step);

// Tells configurations apart, for notes. How a model is best drawn with is of no meaning here.
std::string fingerprint(models::ModelConfig config);
std::string fingerprint(const models::AutoencoderConfig& config);

// Streams of random numbers, one for each step, pass over the data or batch of pictures: nothing has to be saved of
// them.
enum class Stream : unsigned char { kStep, kOrder, kPictures };
uint64_t stream_seed(uint64_t seed, Stream stream, int64_t number);

// The part of each batch that is this rank's: of `all` examples, `count` from `begin` on. Random numbers are drawn for
// all, so that a run on several ranks draws what one with their batches together would.
struct BatchShare {
  BatchShare(const Ranks& ranks, int64_t batch)
      : all(batch * ranks.size()), begin(batch * ranks.rank()), count(batch) {}
  int64_t all, begin, count;
};

// The order of the examples: every pass over them has one of its own.
class ExampleOrder {
 public:
  ExampleOrder(int64_t count, uint64_t seed) : count_(count), seed_(seed) {}
  // Which of the `count` examples is the number-th of the run.
  int64_t operator()(int64_t number);

 private:
  int64_t count_, pass_ = -1;
  uint64_t seed_;
  std::vector<int64_t> order_;  // in pass `pass_`
};

// What one step came to. Where `usable` is false nothing was changed.
struct StepResult {
  double loss = 0.0, grad_norm = 0.0, lr = 0.0;
  bool usable = true;
  std::vector<double> more = {};  // for the columns that the run was begun with
};

// Under mpirun every rank makes one, and all do the same steps; the first alone writes.
class Run {
 public:
  // Holds the folder. Throws Error(kUsage) where it has a run and options.resume is not set, and as RunFolder does.
  Run(const RunOptions& options, const RunHooks& hooks);

  // Parameters to train, with an optimizer and, for a decay above 0, averages. The reference stays valid.
  TrainedGroup& add(std::vector<NamedTensor> params, const AdamWOptions& optimizer, double ema = 0.0);

  // Goes on from the last checkpoint that is whole, if there is one. `notes` are what must be the same for the bytes to
  // be the same, beside what the options themselves say; learning rate and steps may differ. Throws Error(kUsage) that
  // lists all differences. Call once, after add().
  void restore(std::map<std::string, std::string> notes);

  struct Steps {
    std::vector<std::string> more_columns;  // of metrics.csv: names of StepResult::more
    // Does the step-th step, counted from 0.
    std::function<StepResult(int64_t step)> step;
    // For the report, beside what every run tells.
    std::function<std::map<std::string, std::string>()> facts;
    std::function<int64_t()> skipped_pictures;  // so far
  };
  // Steps to the end, or until it is asked to stop. Throws Error(kInternal) after twenty losses in a row that are no
  // numbers.
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
