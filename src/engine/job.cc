// A job: a request resolved against a model, its memory planned, and run.
#include "base/check.h"
#include "base/log.h"
#include "engine/impl.h"
#include "engine/run.h"
#include "engine/sample_latent.h"
#include "models/lora.h"

namespace sumi {
namespace {

engine::MemoryPlan plan_of(const Model::Impl& model, const engine::ResolvedJob& job) {
  engine::MemoryPlan plan = engine::plan_memory(*model.opened.checkpoint, model.opened.config,
                                                {.batch = job.settings.batch,
                                                 .guided = job.guided(),
                                                 .latent_height = job.latent.height,
                                                 .latent_width = job.latent.width,
                                                 .context_tokens = job.longest_context(),
                                                 .tiled_decode = job.settings.tiled_decode,
                                                 .activations = model.opened.activations,
                                                 .loaded = model.loaded});
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
  plan = plan_of(*model, job);
  const engine::MemoryLimits limits = model->shared->budget.limits();
  engine::check_memory(plan, limits);
  Settings& s = job.settings;
  s.backend = std::string(name_of(opened.device));
  s.precision = std::string(name_of(opened.activations));
  s.threads = model->shared->pool.threads();
  s.planned_bytes = plan.resident();
  s.memory = engine::describe(plan, limits);
  warnings = said.messages();
}

void Job::Impl::check_files() const {
  model->opened.stored->check_intact();
  for (const engine::LoraFile& lora : job.loras) lora.file->check_intact();
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
  engine::run_job(networks, job, hooks,
                  {.adapters = job.loras.empty() ? nullptr : &adapters,
                   .cancel = &cancelled,
                   .check_files = [this] { check_files(); },
                   .denoised = [&] { denoising.end(); },
                   .preview_map = [this]() -> const engine::PreviewMap& { return model->preview_map(cancelled); }});
}

const Settings& Job::settings() const { return impl_->job.settings; }
void Job::run(const Hooks& hooks) { impl_->run(hooks); }
void Job::cancel() { impl_->cancelled = true; }

}  // namespace sumi
