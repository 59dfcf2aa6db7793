// A job: a request resolved against a model, its memory planned, and run.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "engine/impl.h"
#include "engine/run.h"
#include "engine/sample_latent.h"
#include "models/lora.h"

namespace sumi {
namespace {

// Pictures that the job keeps, and the networks beside the model's.
int64_t other_bytes(const Job::Impl& owner) {
  const engine::ResolvedJob& job = owner.job;
  const auto size = [](const image::Image& image) { return static_cast<int64_t>(image.pixels.size()); };
  int64_t bytes = owner.safety ? owner.safety->bytes() : 0;
  if (const auto& canvas = job.canvas) {
    bytes += size(canvas->picture) + size(canvas->whole) + size(canvas->whole_mask);
    if (canvas->mask) bytes += size(*canvas->mask) + size(*canvas->soft_mask);
  }
  for (const engine::ControlJob& control : job.controls) bytes += size(control.hint);
  return bytes;
}

// Those that this process draws.
int64_t batches_of(const engine::ResolvedJob& job) {
  const int64_t all = job.iterations * static_cast<int64_t>(job.batches.size());
  return (all - job.share + job.share_of - 1) / job.share_of;
}

engine::MemoryPlan plan_of(const Job::Impl& owner) {
  const Model::Impl& model = *owner.model;
  const engine::ResolvedJob& job = owner.job;
  engine::JobSize size{.batch = job.settings.batch,
                       .batches = batches_of(job),
                       .guided = job.guided(),
                       .latent_height = job.latent.height,
                       .latent_width = job.latent.width,
                       .context_tokens = job.longest_context(),
                       .tiled_decode = job.settings.tiled_decode,
                       .seamless = !job.settings.seamless.empty(),
                       .encodes = job.canvas || job.nine_channels,
                       .controls = job.controls.size(),
                       .other = other_bytes(owner),
                       .activations = model.opened.activations,
                       .loaded = model.loaded};
  if (const auto& second = job.second) {
    size.second_encodes = !second->latent_resize || job.nine_channels;
    size.second_height = second->latent.height;
    size.second_width = second->latent.width;
    size.second_guided = second->scale != 1.0;
  }
  if (const auto& preview = model.preview_decoder) {
    size.preview_width = preview->width;
    size.other += preview->weight_bytes;
  }
  for (const engine::ControlJob& control : job.controls) size.control_weights += control.file->weight_bytes();
  engine::MemoryPlan plan = engine::plan_memory(*model.opened.checkpoint, model.opened.config, size);
  if (job.second && job.second->model) {
    const int64_t s = job.second->model->scale(), pixels = 3 * job.settings.width * job.settings.height;
    plan.decoder_activations = std::max(plan.decoder_activations, engine::kUpscalerBytes + s * s * pixels);
    plan.other += job.second->model->weight_bytes();
  }
  std::vector<const io::Checkpoint*> files;
  for (const engine::LoraFile& lora : job.loras) files.push_back(lora.file.get());
  plan.adapters = models::lora_bytes(files, model.opened.checkpoint.get());
  return plan;
}

// Counts a job that runs the denoiser, until it says that it is done with it or ends.
class Denoising {
 public:
  explicit Denoising(Model::Impl& model) : model_(model) { ++model_.denoising; }
  ~Denoising() { end(); }
  Denoising(const Denoising&) = delete;
  Denoising& operator=(const Denoising&) = delete;
  void end() {
    if (!std::exchange(ended_, true)) model_.end_denoising();
  }

 private:
  Model::Impl& model_;
  bool ended_ = false;
};

}  // namespace

Job::Impl::Impl(std::shared_ptr<Model::Impl> owner, const engine::ParsedRequest& request) : model(std::move(owner)) {
  const PoolScope pool(&model->shared->pool);
  const CollectWarnings said;
  const engine::OpenModel& opened = model->opened;
  job = engine::resolve({.config = opened.config,
                         .tokenizer = [this]() -> const text::ClipTokenizer& { return model->tokenizer(); },
                         .noise_schedule = *opened.noise_schedule,
                         .open_lora = [this](const std::string& file) { return model->shared->open_lora(file); },
                         .model = opened.path,
                         .data_folder = model->shared->options.data_folder},
                        request);
  if (job.encodes()) models::check_encoder(*opened.checkpoint);
  if (!job.settings.safety_checker.empty())
    safety = model->shared->safety.open(job.settings.safety_checker, opened.device);
  plan = plan_of(*this);
  const engine::MemoryLimits limits = model->shared->budget.limits();
  engine::check_memory(plan, limits);
  Settings& s = job.settings;
  const auto chosen = [](const std::string& option) { return option == "auto" ? std::string() : option; };
  s.vae = opened.vae;
  s.config = model->options.config;
  s.prediction = chosen(model->options.prediction);
  s.dtype = chosen(model->options.dtype);
  s.exact = opened.exact;
  s.backend = std::string(name_of(opened.device));
  s.precision = std::string(name_of(opened.activations));
  s.threads = model->shared->pool.threads();
  s.planned_bytes = plan.resident();
  s.memory = engine::describe(plan, limits);
  warnings = said.messages();
}

void Job::Impl::check_files() const {
  model->opened.stored->check_intact();
  if (const auto& preview = model->preview_decoder) preview->opened.stored->check_intact();
  for (const engine::LoraFile& lora : job.loras) lora.file->check_intact();
  for (const engine::ControlJob& control : job.controls) control.file->file->check_intact();
}

void Job::Impl::run(const Hooks& hooks) {
  SUMI_CHECK_KIND(kUsage, !has_run.exchange(true), "a job runs once; prepare another for more pictures");
  const PoolScope pool(&model->shared->pool);
  const ContextScope fresh([](Context& context) { context = Context(); });  // a hook of another job may call this
  const WarningScope scope([&](const std::string& message) {
    if (hooks.warning) hooks.warning(message);
  });
  for (const std::string& message : warnings) warn_line(message);
  engine::check_cancelled(&cancelled);
  const engine::Budget::Running memory(model->shared->budget, plan.of_the_job(), cancelled);
  const models::StableDiffusion& networks = model->networks(cancelled);
  engine::check_cancelled(&cancelled);
  nn::Adapters adapters;
  for (const engine::LoraFile& lora : job.loras) networks.adapt(adapters, *lora.file, lora.weights);
  adapters.finish();
  Denoising denoising(*model);
  if (job.encodes()) model->make_room();
  engine::run_job(networks, job, hooks,
                  {.adapters = job.loras.empty() ? nullptr : &adapters,
                   .cancel = &cancelled,
                   .check_files = [this] { check_files(); },
                   .encoded = [this] { model->make_room(); },
                   .denoised = [&] { denoising.end(); },
                   .safety = safety.get(),
                   .preview = [this](const Tensor& latent) { return model->preview(latent, cancelled); }});
}

const Settings& Job::settings() const { return impl_->job.settings; }
void Job::run(const Hooks& hooks) { impl_->run(hooks); }
void Job::cancel() { impl_->cancelled = true; }

}  // namespace sumi
