#include "app/cli/generate.h"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/output.h"
#include "app/cli/process.h"
#include "app/cli/terminal_picture.h"
#include "base/check.h"
#include "base/progress.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

// Throws Error(kUsage) where the terminal shows none: a preview that was asked for is not dropped in silence.
TerminalPictures terminal_pictures() {
  const TerminalPictures kind = detect_terminal_pictures();
  SUMI_CHECK_KIND(
      kUsage, kind != TerminalPictures::kNone,
      "this terminal shows no pictures (it needs kitty's protocol or sixels); --preview FILE.png writes the "
      "picture in the making to a file");
  return kind;
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class Generation {
 public:
  Generation(const GenerateJob& job, const GenerateOutput& output) : job_(job), output_(output) {}

  void operator()() {
    if (job_.preview && *job_.preview == "terminal") terminal_ = std::make_unique<TerminalPreview>(terminal_pictures());
    Engine engine(job_.engine.options());
    Model model = engine.open(job_.model.options(job_.engine));
    size_t told = 0;
    tell_warnings(model, told);
    check_latent(model.info());
    for (size_t i = 0; i < job_.pictures.size(); ++i) {
      Job job = model.prepare(i == 0 ? *job_.checked : checked(job_.pictures[i]));
      if (i == 0) {
        settings_ = job.settings();
        begin(model, told);
      }
      report_.init = job_.pictures[i].init;
      run_job(job, hooks());
      forget_progress();
      report_.before += job.settings().pictures;
    }
    end();
  }

 private:
  CheckedRequest checked(const InitPicture& picture) const {
    Request request = job_.request;
    request.init = picture.init.string();
    request.mask = picture.mask.string();
    return CheckedRequest(request);
  }

  void begin(Model& model, size_t& told) {
    if (job_.seed_was_drawn) note(fmt::format("seed: {}", settings_.seed));
    if (settings_.subseed) note(fmt::format("subseed: {}", *settings_.subseed));
    note(settings_.memory);
    model.load();
    tell_warnings(model, told);
    if (output_.begin) output_.begin(settings_);
  }

  // What is drawn is reported even where something fails here, as a grid.
  void end() {
    try {
      const std::string prompt = first_prompt_.value_or("");
      if (output_.end) output_.end(engine::parameters_of(settings_, prompt, settings_.seed, -1), report_);
    } catch (...) {
      if (job_.json) say_json();
      throw;
    }
    if (job_.json) say_json();
  }

  Hooks hooks() {
    Hooks hooks{.step = [this](const Step& step) { show(step); },
                .upscaling = [this](double part) { show_upscaling(part); },
                .picture = [this](Picture&& picture) { take(picture); },
                .warning = [this](const std::string& warning) { note("warning: " + warning); }};
    if (job_.preview) hooks.preview = [this](Preview&& preview) { show(preview); };
    return hooks;
  }

  // Shows the picture that is wanted; where all are, the first of each batch.
  void show(const Preview& preview) {
    if (!previewed_) previewed_ = job_.only.value_or(preview.number);
    if (preview.number != *previewed_) return;
    if (terminal_) return terminal_->show(preview.image);
    write_picture(*job_.preview, preview.image, "");
  }

  void forget_progress() {
    if (terminal_) terminal_->clear();
    progress_.reset();
    upscaling_.reset();
  }

  void note(const std::string& text) {
    if (job_.quiet) return;
    forget_progress();
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
    if (step.done == 0) previewed_.reset();
    if (job_.quiet) return;
    if (step.done > 0 && progress_) return progress_->update(step.done);
    forget_progress();
    const std::string label = step.batches > 1           ? fmt::format("batch {}/{}", step.batch + 1, step.batches)
                              : job_.pictures.size() > 1 ? report_.init.filename().string()
                                                         : "sampling";
    progress_ = std::make_unique<Progress>(ProgressOptions{.label = label, .total = step.steps, .before = step.done});
  }

  void show_upscaling(double part) {
    constexpr int kWhole = 100;
    if (job_.quiet) return;
    if (!upscaling_) {
      forget_progress();
      upscaling_ = std::make_unique<Progress>(ProgressOptions{.label = "upscaling", .total = kWhole});
    }
    upscaling_->update(static_cast<int64_t>(part * kWhole));
    if (part >= 1.0) upscaling_.reset();
  }

  void take(const Picture& picture) {
    forget_progress();
    if (job_.only && picture.number != *job_.only) return;
    if (!first_prompt_) first_prompt_ = picture.prompt;
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
    for (const Written& image : report_.images) json["images"].push_back(as_json(image));
    json["grids"] = nlohmann::ordered_json::array();
    for (const auto& grid : report_.grids) json["grids"].push_back(grid.string());
    say(as_line(json));
  }

  static nlohmann::ordered_json as_json(const Written& image) {
    nlohmann::ordered_json json{{"file", image.file.string()},
                                {"prompt", image.prompt},
                                {"seed", image.seed},
                                {"width", image.width},
                                {"height", image.height}};
    if (!image.init.empty()) json["init"] = image.init.string();
    return json;
  }

  const GenerateJob& job_;
  const GenerateOutput& output_;
  Settings settings_;  // of the first job
  GenerateReport report_;
  std::unique_ptr<Progress> progress_, upscaling_;
  std::unique_ptr<TerminalPreview> terminal_;
  std::optional<std::string> first_prompt_;
  std::optional<int64_t> previewed_;  // the number of the batch's picture that is shown; none: not known yet
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

void GenerateReport::add(const std::filesystem::path& file, const Picture& picture) {
  images.push_back({.file = file,
                    .prompt = picture.prompt,
                    .seed = picture.seed,
                    .width = picture.image.width,
                    .height = picture.image.height,
                    .init = init});
}

void generate(const GenerateJob& job, const GenerateOutput& output) { Generation(job, output)(); }

}  // namespace sumi::app
