#include "train/run.h"

#include <array>
#include <chrono>
#include <cmath>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/rng.h"
#include "core/autograd.h"
#include "core/host_memory.h"
#include "io/mapped_file.h"
#include "train/dataset.h"
#include "train/report.h"

namespace sumi::train {
namespace {

constexpr int64_t kMostSkipped = 20;  // losses in a row that are not finite
constexpr const char* kDecodingNote = "picture_decoding";

// Puts the averages in the parameters' place during its lifetime.
class Averages {
 public:
  explicit Averages(std::deque<TrainedGroup>& groups) : groups_(groups) { exchange(); }
  ~Averages() { exchange(); }
  Averages(const Averages&) = delete;
  Averages& operator=(const Averages&) = delete;

 private:
  void exchange() {
    for (TrainedGroup& group : groups_) {
      if (group.ema) group.ema->swap();
    }
  }
  std::deque<TrainedGroup>& groups_;
};

}  // namespace

void check_range(const char* name, double value, double least, double most) {
  SUMI_CHECK_KIND(kUsage, std::isfinite(value) && value >= least && value <= most, "`{}` must be from {} to {}, not {}",
                  name, least, most, value);
}

void check_run_options(const RunOptions& o, int64_t factor) {
  o.lr.check();
  check_range("steps", static_cast<double>(o.lr.steps), 1, 1e9);
  check_range("batch", static_cast<double>(o.batch), 1, 4096);
  check_range("accumulate", static_cast<double>(o.accumulate), 1, 4096);
  check_range("save_every", static_cast<double>(o.save_every), 1, 1e9);
  check_range("sample_every", static_cast<double>(o.sample_every), 1, 1e9);
  SUMI_CHECK_KIND(kUsage, o.size == 0 || (o.size > 0 && o.size <= 4096 && o.size % factor == 0),
                  "`size` must be a multiple of {} up to 4096, not {}", factor, o.size);
}

void measure(RunPlan& plan, const std::function<void()>& step) {
  for (int run = 0; run < 2; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    step();
    plan.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  plan.bytes = host_memory().peak_bytes;
}

std::string fingerprint(models::ModelConfig config) {
  config.sampling = {};
  Fnv1a hash;
  hash.add(models::config_to_yaml(config));
  return hash.hex();
}

std::string fingerprint(const models::AutoencoderConfig& config) {
  models::ModelConfig whole;
  whole.autoencoder = config;
  return fingerprint(whole);
}

uint64_t stream_seed(uint64_t seed, Stream stream, int64_t number) {
  uint64_t x = seed + 0x9E3779B97F4A7C15ull *
                          (4 * static_cast<uint64_t>(number) + static_cast<uint64_t>(stream) + 1);  // splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

int64_t ExampleOrder::operator()(int64_t number) {
  const int64_t pass = number / count_;
  if (pass != pass_) {
    TorchCpuGenerator generator(stream_seed(seed_, Stream::kOrder, pass));
    order_ = generator.randperm(count_);
    pass_ = pass;
  }
  return order_[static_cast<size_t>(number % count_)];
}

Run::Run(const RunOptions& options, const RunHooks& hooks)
    : options_(options), hooks_(hooks), ranks_(Ranks::world()), folder_(options.out, !ranks_.first()) {
  ranks_.wait_for_all();  // the first rank has created the folder, or failed
  SUMI_CHECK_KIND(kUsage, options.resume || folder_.checkpoints().empty(),
                  "{} already holds a run; continue it with `resume`, or choose another `out`", options.out.string());
}

TrainedGroup& Run::add(std::vector<NamedTensor> params, const AdamWOptions& optimizer, double ema) {
  TrainedGroup& group = groups_.emplace_back();
  group.params = std::move(params);
  group.optimizer = std::make_unique<AdamW>(group.params, optimizer);
  if (ema > 0.0) group.ema = std::make_unique<Ema>(group.params, ema);
  return group;
}

void Run::restore(std::map<std::string, std::string> notes) {
  notes_ = std::move(notes);
  notes_["batch"] = std::to_string(options_.batch);
  notes_["accumulate"] = std::to_string(options_.accumulate);
  notes_["ranks"] = std::to_string(ranks_.size());
  notes_["seed"] = std::to_string(options_.seed);
  notes_["model"] = options_.model;
  notes_["size"] = std::to_string(options_.size);
  notes_["flip"] = std::to_string(static_cast<int>(options_.flip));
  const image::Colour& under = options_.background;
  notes_["background"] = fmt::format("#{:02x}{:02x}{:02x}", under[0], under[1], under[2]);
  const std::vector<int64_t> there = folder_.checkpoints();
  if (options_.resume && there.empty() && hooks_.note)
    hooks_.note(
        fmt::format("{} holds no checkpoint to resume from; the run begins at its first step", options_.out.string()));
  for (size_t left = there.size(); left-- > 0;) {
    const int64_t step = there[left];
    try {
      const std::map<std::string, std::string> kept = folder_.notes(step);
      check_notes(kept);
      folder_.restore(step, groups_);
      result_.skipped_steps = count_in(kept, "skipped_steps", folder_.checkpoint_path(step).string());
      step_ = step;
      const auto decoding = kept.find(kDecodingNote);
      if (hooks_.note && (decoding == kept.end() || decoding->second != std::to_string(kPictureDecoding)))
        hooks_.note(
            "this run was started by a version of sumi that decoded some pictures otherwise (see-through ones, PNG and "
            "WebP with an Exif orientation, CMYK); from here on it trains on them as this version decodes them");
      break;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData || left == 0) throw;
      if (hooks_.note) hooks_.note(fmt::format("{}; using the checkpoint before it", error.what()));
    }
  }
  check_ranks_agree();
  if (step_ > 0 && hooks_.note) hooks_.note(fmt::format("resuming after step {}", step_));
}

// A rank with another checkpoint, none, or other options would corrupt the sums of all ranks.
void Run::check_ranks_agree() const {
  Fnv1a hash;
  add_notes(hash, notes_);
  constexpr uint64_t kExact = (1u << 24) - 1;  // sums of such numbers are exact in double
  const std::array<double, 2> mine{static_cast<double>(step_), static_cast<double>(hash.value() & kExact)};
  std::array<double, 2> differ = mine;
  ranks_.sum(differ);
  for (size_t i = 0; i < mine.size(); ++i) differ[i] = differ[i] == mine[i] * ranks_.size() ? 0.0 : 1.0;
  ranks_.sum(differ);
  SUMI_CHECK_KIND(
      kUsage, differ[0] == 0.0,
      "the ranks found different checkpoints, this rank the one of step {}; `out` {} must be one folder that all "
      "of them see",
      step_, options_.out.string());
  SUMI_CHECK_KIND(kUsage, differ[1] == 0.0, "the ranks have different data, models or options; all must have the same");
}

// Runs before anything is restored, so that the error names options that differ rather than shapes.
void Run::check_notes(const std::map<std::string, std::string>& kept) const {
  std::string differences;
  for (const auto& [key, value] : notes_) {
    const auto found = kept.find(key);
    if (found == kept.end() || found->second == value) continue;  // older checkpoints have fewer notes
    differences += fmt::format("{}{} {}, not {}", differences.empty() ? "" : "; ", key, found->second, value);
  }
  SUMI_CHECK_KIND(kUsage, differences.empty(),
                  "this run was started with {}; use the same options and data, or another `out`", differences);
}

RunResult Run::run(const Steps& steps) {
  std::string header = "step,loss,grad_norm,lr,seconds";
  for (const std::string& column : steps.more_columns) header += "," + column;
  if (ranks_.first()) folder_.begin_metrics(header, step_);
  // A run that was killed between its checkpoint and the sheet of that step.
  const auto due = [&] { return step_ % options_.sample_every == 0 || step_ == options_.lr.steps; };
  std::error_code ignored;
  if (step_ > 0 && hooks_.on_sample && ranks_.first() && due() &&
      !std::filesystem::exists(options_.out / "samples" / fmt::format("{:08}.png", step_), ignored))
    sample();
  while (step_ < options_.lr.steps) {
    if (cancelled()) {
      save();
      result_.stopped = true;
      break;
    }
    one_step(steps);
    const bool last = step_ == options_.lr.steps;
    if (step_ % options_.save_every == 0 || last) save();
    if (hooks_.on_sample && ranks_.first() && due()) sample();
  }
  result_.steps = step_;
  result_.skipped_pictures = steps.skipped_pictures();
  if (!ranks_.first()) return result_;
  std::map<std::string, std::string> facts = steps.facts();
  facts.insert({{"from", options_.model},
                {"steps", fmt::format("{} of {}", step_, options_.lr.steps)},
                {"batch", fmt::format("{} × {}", options_.batch * ranks_.size(), options_.accumulate)},
                {"learning rate", fmt::format("{:g}, {}", options_.lr.peak, options_.lr.shape)},
                {"seed", std::to_string(options_.seed)},
                {"skipped steps", std::to_string(result_.skipped_steps)},
                {"skipped pictures", std::to_string(result_.skipped_pictures)}});
  try {
    write_report(options_.out, facts);
  } catch (const Error& error) {  // the trained model counts for more
    if (hooks_.note) hooks_.note(fmt::format("no report: {}", error.what()));
  }
  return result_;
}

// If one rank is asked to stop, all stop.
bool Run::cancelled() const {
  double asked = hooks_.cancel != nullptr && hooks_.cancel->load() ? 1.0 : 0.0;
  ranks_.sum(std::span(&asked, 1));
  return asked > 0.0;
}

void Run::mean_over_ranks(std::span<double> values) const {
  ranks_.sum(values);
  for (double& value : values) value /= static_cast<double>(ranks_.size());
}

void Run::save() {
  if (saved_ == step_) return;
  io::check_mappings_intact();  // do not save a run whose mapped model file was changed
  if (!ranks_.first()) return;
  std::map<std::string, std::string> notes = notes_;
  notes["skipped_steps"] = std::to_string(result_.skipped_steps);
  notes[kDecodingNote] = std::to_string(kPictureDecoding);
  folder_.save(step_, groups_, notes);
  saved_ = step_;
}

void Run::sample() {
  const NoGrad off;
  const Averages averages(groups_);
  try {
    hooks_.on_sample(step_);
  } catch (const Error& error) {
    // A failed sheet must not end a training run. A request to stop is handled before the next step.
    if (error.kind() != ErrorKind::kCancelled && hooks_.note)
      hooks_.note(fmt::format("no sample sheet of step {}: {}", step_, error.what()));
  }
}

void Run::one_step(const Steps& steps) {
  const auto begin = std::chrono::steady_clock::now();
  const StepResult did = steps.step(step_);
  if (did.usable) {
    in_a_row_ = 0;
  } else {
    for (TrainedGroup& group : groups_) {
      for (NamedTensor& param : group.params) param.value.clear_grad();
    }
    ++result_.skipped_steps;
    SUMI_CHECK_KIND(kInternal, ++in_a_row_ < kMostSkipped,
                    "the loss has not been finite for {} steps, which are not saved; try a smaller `lr` or a smaller "
                    "`clip`",
                    kMostSkipped);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::string line = fmt::format("{},{:.9g},{:.9g},{:.9g},{:.3f}", step_, did.loss, did.grad_norm, did.lr, seconds);
  for (const double value : did.more) line += fmt::format(",{:.9g}", value);
  if (ranks_.first()) folder_.add_metrics(line);
  ++step_;
  result_.last_loss = did.loss;
  if (hooks_.on_step) hooks_.on_step({step_, options_.lr.steps, did.loss, did.grad_norm, did.lr, seconds, !did.usable});
}

}  // namespace sumi::train
