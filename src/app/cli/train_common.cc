#include "app/cli/train_common.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/cli/arguments.h"
#include "app/cli/common.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "engine/memory_plan.h"

namespace sumi::app {

void RunChoice::put_into(train::RunOptions& options) const {
  options.data = data;
  options.out = out;
  const auto parsed = parse_seed(seed);
  SUMI_CHECK_KIND(kUsage, parsed,
                  "training needs a fixed seed, so that the run can be resumed; give --seed N from 0 to 2^64-1");
  options.seed = *parsed;
  options.background = image::colour_of(background);
}

void add_run_options(CLI::App& app, RunChoice& choice, train::RunOptions& o, const std::string& captions) {
  app.add_option(
         "--data", choice.data,
         "Folder of pictures or of tar archives, or one such archive" + (captions.empty() ? captions : ", " + captions))
      ->required()
      ->type_name("DIR");
  app.add_option("--out", choice.out, "Where checkpoints, metrics.csv and the trained model go")
      ->required()
      ->type_name("DIR");
  add_integer(app, "--steps", o.lr.steps, "Optimizer steps");
  add_integer(app, "--batch", o.batch, "Pictures at once");
  add_integer(app, "--accumulate", o.accumulate, "Batches per step");
  add_integer(app, "--warmup", o.lr.warmup, "Steps over which the learning rate rises from 0");
  app.add_option("--lr-shape", o.lr.shape, "Learning rate after the warm-up: constant or cosine")
      ->type_name("KIND")
      ->default_str(o.lr.shape);
  app.add_flag("--flip", o.flip, "Mirror pictures half of the time");
  app.add_option("--background", choice.background, "Colour under see-through pixels: white, black, gray or #rrggbb")
      ->type_name("COLOUR")
      ->default_str(choice.background);
  add_integer(app, "--save-every", o.save_every, "Steps between checkpoints");
  add_integer(app, "--sample-every", o.sample_every, "Steps between sample sheets");
  app.add_flag("--resume", o.resume, "Continue from the last checkpoint in --out");
  app.add_option("--seed", choice.seed, "Seed of all random numbers")->type_name("N")->default_str(choice.seed);
  app.add_flag("--quiet", choice.quiet, "Print only errors");
  app.add_flag("--json", choice.json, "One JSON object on standard output at the end");
}

TrainingWatch::TrainingWatch(bool quiet) : quiet_(quiet || !Ranks::world().first()) { stop_on_hangup(); }

void TrainingWatch::begin(const std::string& what, int64_t total, int64_t before) {
  if (bar_ && what_ == what) return;
  bar_.reset();
  what_ = what;
  bar_ = std::make_unique<Progress>(ProgressOptions{.label = what, .total = total, .before = before, .quiet = quiet_});
}

void TrainingWatch::step(const train::RunProgress& p) {
  if (!p.skipped) mean_ = mean_ ? 0.98 * *mean_ + 0.02 * p.loss : p.loss;
  if (p.skipped && !quiet_) note(fmt::format("step {}: the loss is not finite; the step was skipped", p.step));
  begin("training", p.steps, p.step);
  bar_->label(fmt::format("training, loss {:.4f}, lr {:.2g}", mean_.value_or(p.loss), p.lr));
  bar_->update(p.step);
}

void TrainingWatch::note(const std::string& text) {
  bar_.reset();
  if (!quiet_) app::note(text);
}

train::RunHooks TrainingWatch::hooks(std::function<void(int64_t step)> on_sample) {
  return {.on_step = [this](const train::RunProgress& p) { step(p); },
          .on_latent =
              [this](int64_t done, int64_t total) {
                begin("encoding pictures", total, 0);
                bar_->update(done);
              },
          .note = [this](const std::string& text) { note(text); },
          .on_sample = std::move(on_sample),
          .cancel = &stop_requested()};
}

int report_plan(int64_t pictures, const train::RunPlan& plan, int64_t steps, const RunChoice& choice) {
  const double before = plan.seconds_a_picture * static_cast<double>(pictures),
               seconds = before + plan.seconds * static_cast<double>(steps);
  const bool first = Ranks::world().first();
  Ranks::world().finish();
  if (!first) return 0;
  if (choice.json) {
    say(nlohmann::ordered_json{{"pictures", pictures},
                               {"trained_values", plan.trained_values},
                               {"memory_bytes", plan.bytes},
                               {"seconds_per_step", plan.seconds},
                               {"seconds_to_encode", before},
                               {"hours", seconds / 3600.0}}
            .dump() +
        "\n");
    return 0;
  }
  say(fmt::format("{} pictures, {:.1f} million trained values\n{} of memory beside the mapped file\n", pictures,
                  static_cast<double>(plan.trained_values) / 1e6, engine::format_bytes(plan.bytes)));
  if (before > 0.0) say(fmt::format("{} to encode the pictures, once\n", format_duration(before)));
  say(fmt::format("{:.2f} s per step, {} for {} steps\n", plan.seconds,
                  format_duration(plan.seconds * static_cast<double>(steps)), steps));
  return 0;
}

void check_training_memory(int64_t bytes) {
  const engine::MemoryLimits limits = engine::memory_limits();
  SUMI_CHECK_KIND(
      kUnavailable, !limits.available || bytes <= *limits.available,
      "weights, gradients and the optimizer's state take {} and {} are available; --lora R trains far fewer "
      "values, --ema 0 keeps no averages",
      engine::format_bytes(bytes), engine::format_bytes(limits.available.value_or(0)));
}

void check_run_place(const train::RunOptions& options, const std::filesystem::path& checkpoint,
                     const std::string& result) {
  namespace fs = std::filesystem;
  std::error_code error;
  // weakly_canonical leaves a relative path that does not exist relative.
  const auto canonical = [&](const fs::path& path) { return fs::weakly_canonical(fs::absolute(path, error), error); };
  const fs::path out = canonical(options.out), data = canonical(options.data);
  const auto [of_data, of_out] = std::mismatch(data.begin(), data.end(), out.begin(), out.end());
  SUMI_CHECK_KIND(kUsage, of_data != data.end() || fs::is_regular_file(data, error),
                  "--out {} lies in --data {}: sample sheets would be trained on; choose another folder",
                  options.out.string(), options.data.string());
  SUMI_CHECK_KIND(kUsage, checkpoint.empty() || !fs::equivalent(checkpoint, options.out / result, error),
                  "the trained model would overwrite {}; choose another --out", checkpoint.string());
}

int report_run(const train::RunResult& result, const RunChoice& choice, const std::filesystem::path& file,
               TrainingWatch& watch) {
  const bool first = Ranks::world().first();
  Ranks::world().finish();
  if (!first) return 0;
  if (result.skipped_pictures > 0) watch.note(fmt::format("{} pictures could not be read", result.skipped_pictures));
  if (result.stopped) watch.note(fmt::format("stopped after step {} and saved; continue with --resume", result.steps));
  if (choice.json) {
    say(as_line({{"steps", result.steps},
                 {"loss", result.last_loss},
                 {"skipped_steps", result.skipped_steps},
                 {"skipped_pictures", result.skipped_pictures},
                 {"model", result.stopped ? nlohmann::ordered_json() : nlohmann::ordered_json(file.string())}}));
  } else if (!result.stopped) {
    say(file.string() + "\n");
  }
  SUMI_CHECK_KIND(kCancelled, !result.stopped, "stopped");
  return 0;
}

}  // namespace sumi::app
