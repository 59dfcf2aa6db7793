#include "app/cli/generate.h"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/process.h"
#include "base/check.h"
#include "base/progress.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class Generation {
 public:
  Generation(const GenerateJob& job, const GenerateOutput& output) : job_(job), output_(output) {}

  void operator()() {
    Engine engine(job_.engine.options());
    Model model = engine.open(job_.model.options(job_.engine));
    size_t told = 0;
    tell_warnings(model, told);
    check_latent(model.info());
    Job job = model.prepare(*job_.checked);
    settings_ = job.settings();
    if (job_.seed_was_drawn) note(fmt::format("seed: {}", settings_.seed));
    note(settings_.memory);
    model.load();
    tell_warnings(model, told);
    if (output_.begin) output_.begin(settings_);
    run_job(job, {.step = [this](const Step& step) { show(step); },
                  .picture = [this](Picture&& picture) { take(picture); },
                  .warning = [this](const std::string& warning) { note("warning: " + warning); }});
    progress_.reset();
    if (output_.end) output_.end(engine::parameters_of(settings_, first_prompt_, settings_.seed, -1), report_);
    if (job_.json) say_json();
  }

 private:
  void note(const std::string& text) {
    if (job_.quiet) return;
    progress_.reset();
    app::note(text);
  }

  // The original's --C and --f, which a model fixes.
  void check_latent(const ModelInfo& info) const {
    SUMI_CHECK_KIND(kUsage, job_.downsampling.value_or(info.multiple) == info.multiple,
                    "this model's latents stand for {}x{} pixels, not {}x{}", info.multiple, info.multiple,
                    *job_.downsampling, *job_.downsampling);
    SUMI_CHECK_KIND(kUsage, job_.channels.value_or(info.latent_channels) == info.latent_channels,
                    "this model's latents have {} channels, not {}", info.latent_channels, *job_.channels);
  }

  void show(const Step& step) {
    if (job_.quiet) return;
    if (step.done > 0 && progress_) return progress_->update(step.done);
    progress_.reset();
    const std::string label = step.batches > 1 ? fmt::format("batch {}/{}", step.batch + 1, step.batches) : "sampling";
    progress_ = std::make_unique<Progress>(ProgressOptions{.label = label, .total = step.steps});
  }

  void take(const Picture& picture) {
    progress_.reset();
    if (report_.pictures++ == 0) first_prompt_ = picture.prompt;
    output_.picture(picture, report_);
  }

  void say_json() const {
    const Settings& s = settings_;
    nlohmann::ordered_json json{{"model", s.model},
                                {"seed", s.seed},
                                {"width", s.width},
                                {"height", s.height},
                                {"steps", s.steps},
                                {"sampler", s.sampler},
                                {"schedule", s.schedule},
                                {"scale", s.scale},
                                {"seeding", s.seeding},
                                {"backend", s.backend},
                                {"precision", s.precision},
                                {"threads", s.threads},
                                {"planned_bytes", s.planned_bytes},
                                {"seconds", seconds_since(begin_)}};
    json["images"] = nlohmann::ordered_json::array();
    for (const Written& image : report_.images)
      json["images"].push_back({{"file", image.file.string()}, {"prompt", image.prompt}, {"seed", image.seed}});
    json["grids"] = nlohmann::ordered_json::array();
    for (const auto& grid : report_.grids) json["grids"].push_back(grid.string());
    say(as_line(json));
  }

  const GenerateJob& job_;
  const GenerateOutput& output_;
  Settings settings_;
  GenerateReport report_;
  std::unique_ptr<Progress> progress_;
  std::string first_prompt_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

void generate(const GenerateJob& job, const GenerateOutput& output) { Generation(job, output)(); }

}  // namespace sumi::app
