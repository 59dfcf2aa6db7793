#include "app/cli/generate.h"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/arguments.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text_util.h"
#include "image/metadata.h"
#include "models/defaults.h"
#include "engine/memory_plan.h"
#include "engine/prompt_encoder.h"
#include "engine/sample_latent.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// A1111 expects the model's name, without its path.
std::string model_name(const fs::path& checkpoint) {
  const fs::path path = checkpoint.has_filename() ? checkpoint : checkpoint.parent_path();
  const std::string ending = path.extension().string();
  return ending == ".ckpt" || ending == ".safetensors" || ending == ".pt" ? path.stem().string()
                                                                          : path.filename().string();
}

// Fills in what the command line leaves open: the model's defaults, else the form's.
void take_defaults(const GenerateJob& job, const models::ModelConfig& config, engine::Txt2ImgRequest& request) {
  const models::DrawingDefaults drawing = models::resolve_defaults(config, {.sampler = request.sampling.sampler,
                                                                            .schedule = request.sampling.schedule,
                                                                            .steps = request.sampling.steps,
                                                                            .scale = request.scale});
  if (job.width_from_model) request.width = drawing.size;
  if (job.height_from_model) request.height = drawing.size;
  if (job.sampler_from_model) set_sampler(request.sampling, drawing.sampler, drawing.schedule);
  if (job.steps_from_model) request.sampling.steps = static_cast<int>(drawing.steps);
  if (job.scale_from_model) request.scale = drawing.scale;
}

}  // namespace

engine::OpenModel open_for(const GenerateJob& job, engine::Txt2ImgRequest& request) {
  engine::OpenModel opened = engine::open_model(job.model.options(job.engine));
  take_defaults(job, opened.config, request);
  engine::check_request_for(request, opened.config);
  return opened;
}

namespace {

class Generation {
 public:
  Generation(const GenerateJob& job, const GenerateOutput& output)
      : job_(job), output_(output), request_(job.request), model_options_(job.model.options(job.engine)) {
    warnings_before_ = set_warning_sink([this](const std::string& message) { note("warning: " + message); });
  }
  ~Generation() { set_warning_sink(std::move(warnings_before_)); }

  void operator()() {
    const engine::OpenModel opened = open();
    const text::ClipTokenizer tokenizer = job_.model.load_tokenizer(model_options_.checkpoint, opened.stored.get());
    models::check_vocabulary(opened.config, tokenizer.vocab_size());
    plan(opened, tokenizer);
    engine::check_cancelled(&stop_requested());
    const models::StableDiffusion model = engine::load_model(opened);
    const nn::Adapters adapters = engine::load_adapters(opened, model);
    if (output_.begin) output_.begin();
    engine::Txt2ImgHooks hooks{.on_step = [&](const engine::Txt2ImgProgress& info) { show_step(info); },
                                 .on_picture = [&](engine::Picture&& picture) { take(std::move(picture)); },
                                 .cancel = &stop_requested(),
                                 .adapters = &adapters};
    engine::txt2img(model, tokenizer, request_, hooks);
    progress_.reset();
    if (output_.end) output_.end(parameters(request_.batches[0][0], request_.width, request_.height), report_);
    if (job_.json) say_json();
  }

 private:
  void note(const std::string& text) {
    if (job_.quiet) return;
    progress_.reset();
    complain("sumi: " + strip_control(text) + "\n");
  }

  engine::OpenModel open() {
    engine::OpenModel opened = open_for(job_, request_);
    request_.sampling.schedule = diffusion::schedule_of(request_.sampling);
    if (job_.seed_was_drawn) note(fmt::format("seed: {}", request_.seed));
    return opened;
  }

  void plan(const engine::OpenModel& opened, const text::ClipTokenizer& tokenizer) {
    size_t batch = 1;
    const auto tokens = [&](const std::string& prompt) {
      return engine::count_tokens(opened.config, tokenizer, prompt, request_.syntax);
    };
    int64_t longest = tokens(request_.negative_prompt);
    for (const auto& prompts : request_.batches) {
      batch = std::max(batch, prompts.size());
      for (const std::string& prompt : prompts) longest = std::max(longest, tokens(prompt));
    }
    const engine::LatentSize size = engine::latent_size(request_, opened.config);
    const engine::MemoryPlan plan = engine::plan_memory(*opened.stored, *opened.checkpoint, opened.config,
                                                            {.batch = static_cast<int64_t>(batch),
                                                             .guided = request_.scale != 1.0,
                                                             .latent_height = size.height,
                                                             .latent_width = size.width,
                                                             .context_tokens = longest,
                                                             .tiled_decode = request_.tiled_decode,
                                                             .activations = job_.engine.activations()});
    const engine::MemoryLimits limits = engine::memory_limits();
    note(engine::describe(plan, limits));
    engine::check_memory(plan, limits);
    planned_bytes_ = plan.resident();
  }

  void show_step(const engine::Txt2ImgProgress& info) {
    if (job_.quiet) return;
    if (info.done > 0 && progress_) return progress_->update(info.done);
    progress_.reset();
    const std::string label = info.batches > 1 ? fmt::format("batch {}/{}", info.batch + 1, info.batches) : "sampling";
    progress_ = std::make_unique<Progress>(ProgressOptions{.label = label, .total = info.steps});
  }

  std::string parameters(std::string prompt, int64_t width, int64_t height, int64_t number = -1) const {
    for (const engine::LoraChoice& lora : model_options_.loras)
      prompt += fmt::format(" <lora:{}:{}>", lora.file.stem().string(), lora.weight);
    return image::format_parameters({.prompt = prompt,
                                     .negative_prompt = request_.negative_prompt,
                                     .steps = request_.sampling.steps,
                                     .sampler = request_.sampling.sampler,
                                     .schedule = request_.sampling.schedule,
                                     .guidance = request_.scale,
                                     .seed = request_.seed,
                                     .width = width,
                                     .height = height,
                                     .eta = request_.sampling.eta,
                                     .rng = request_.rng == "cpu" ? std::string() : request_.rng,
                                     .precision = precision(),
                                     .batch_pos = number,
                                     .model = model_name(model_options_.checkpoint),
                                     .version = "sumi " SUMI_VERSION});
  }

  std::string precision() const {
    const DType activations = job_.engine.activations();
    return activations == DType::kF32 ? std::string() : std::string(name_of(activations));
  }

  void take(engine::Picture&& picture) {
    progress_.reset();
    output_.picture(picture,
                    parameters(picture.prompt, picture.image.width, picture.image.height,
                               request_.pictures() > 1 ? picture.number : -1),
                    report_);
  }

  void say_json() const {
    nlohmann::ordered_json json{{"model", model_options_.checkpoint.string()},
                                {"seed", request_.seed},
                                {"width", request_.width},
                                {"height", request_.height},
                                {"steps", request_.sampling.steps},
                                {"sampler", request_.sampling.sampler},
                                {"schedule", request_.sampling.schedule},
                                {"scale", request_.scale},
                                {"backend", job_.engine.backend},
                                {"precision", name_of(job_.engine.activations())},
                                {"threads", num_threads()},
                                {"planned_bytes", planned_bytes_},
                                {"seconds", seconds_since(begin_)}};
    json["images"] = nlohmann::ordered_json::array();
    for (const Written& image : report_.images) {
      json["images"].push_back({{"file", image.file.string()}, {"prompt", image.prompt}, {"seed", request_.seed}});
    }
    json["grids"] = nlohmann::ordered_json::array();
    for (const fs::path& grid : report_.grids) json["grids"].push_back(grid.string());
    say(as_line(json));
  }

  const GenerateJob& job_;
  const GenerateOutput& output_;
  engine::Txt2ImgRequest request_;
  engine::ModelOptions model_options_;
  GenerateReport report_;
  std::unique_ptr<Progress> progress_;
  int64_t planned_bytes_ = 0;
  WarningSink warnings_before_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

void generate(const GenerateJob& job, const GenerateOutput& output) { Generation(job, output)(); }

}  // namespace sumi::app
