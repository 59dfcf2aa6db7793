// An opened model: its facts, and its networks once a job needs them.
#include <chrono>
#include <exception>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "core/host_memory.h"
#include "engine/impl.h"
#include "engine/sample_latent.h"

namespace sumi {
namespace {

// Takes the thread's warnings, to be kept; where an exception ends it before, it passes them on to whoever takes them.
class Collected {
 public:
  ~Collected() {
    if (!collecting_) return;
    try {
      const std::vector<std::string> lost = end();
      if (!has_warning_sink()) return;
      for (const std::string& message : lost) warn_line(message);
    } catch (const std::exception&) {
      // A hook that throws: the exception that ended this goes on.
    }
  }
  std::vector<std::string> end() {
    std::vector<std::string> said = collecting_->messages();
    collecting_.reset();
    return said;
  }

 private:
  std::optional<CollectWarnings> collecting_{std::in_place};
};

// Not a timed mutex, whose waiting the thread sanitizer of GCC 12 does not know.
std::unique_lock<std::mutex> wait_for(std::mutex& mutex, const std::atomic<bool>& cancel) {
  std::unique_lock lock(mutex, std::try_to_lock);
  for (; !lock.owns_lock(); lock.try_lock()) {
    engine::check_cancelled(&cancel);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return lock;
}

}  // namespace

Model::Impl::Impl(std::shared_ptr<engine::Shared> parent, const ModelOptions& o, std::string called)
    : shared(std::move(parent)), name(std::move(called)), options(o) {
  const PoolScope pool(&shared->pool);
  Collected said;
  SUMI_CHECK_KIND(kUsage, !options.path.empty(), "`path` is empty; name a checkpoint or a folder");
  opened = engine::open_model(options);
  if (!options.preview_vae.empty()) preview_decoder = engine::open_preview_decoder(options, opened.config);
  try {
    tokenizer_ =
        engine::load_tokenizer(opened, options.tokenizer,
                               {.data_folder = shared->options.data_folder, .hub_cache = shared->options.hub_cache});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoInput) throw;
    no_tokenizer_ = error.what();
  }
  warnings_ = said.end();
}

const text::ClipTokenizer& Model::Impl::tokenizer() const {
  SUMI_CHECK_KIND(kNoInput, tokenizer_, "{}", no_tokenizer_);
  return *tokenizer_;
}

// What loading says is handed out when the lock is gone: a hook may ask for the model.
const models::StableDiffusion& Model::Impl::networks(const std::atomic<bool>& cancel) {
  std::vector<std::string> messages;
  {
    const auto lock = wait_for(loading_, cancel);
    if (!networks_) {
      Collected said;
      const int64_t bytes = engine::plan_memory(*opened.checkpoint, opened.config, {}).weights();
      networks_ = engine::load_model(opened, {.encoder = false});
      weights_.emplace(shared->budget, bytes);
      loaded = true;
      messages = said.end();
    }
  }
  for (const std::string& message : messages) warn_line(message);
  return *networks_;
}

const engine::PreviewMap& Model::Impl::preview_map(const std::atomic<bool>& cancel) {
  const models::StableDiffusion& model = networks(cancel);
  const auto lock = wait_for(fitting_, cancel);
  if (!preview_map_) preview_map_ = engine::fit_preview(model);
  return *preview_map_;
}

Image Model::Impl::preview(const Tensor& latent, const std::atomic<bool>& cancel) {
  return preview_decoder ? engine::preview_of(*preview_decoder, latent)
                         : engine::preview_of(preview_map(cancel), latent);
}

void Model::Impl::add_warnings(std::vector<std::string> more) {
  const std::lock_guard lock(saying_);
  warnings_.insert(warnings_.end(), more.begin(), more.end());
}

std::vector<std::string> Model::Impl::all_warnings() {
  const std::lock_guard lock(saying_);
  return warnings_;
}

void Model::Impl::make_room() {
  release_cached_host_memory();
  if (denoising == 1) opened.checkpoint->release_pages();
}

void Model::Impl::end_denoising() {
  if (--denoising == 0) opened.checkpoint->release_pages();
}

ModelInfo Model::info() const {
  Impl& m = *impl_;
  const models::ModelConfig& config = m.opened.config;
  return {.name = m.name,
          .path = m.opened.path.string(),
          .family = config.family,
          .format = m.opened.stored->format(),
          .default_size = config.default_size,
          .prediction = std::string(diffusion::name_of(config.prediction)),
          .sampler = config.sampling.sampler,
          .schedule = {},
          .steps = config.sampling.steps,
          .scale = config.sampling.scale,
          .multiple = config.autoencoder.downsampling(),
          .latent_channels = config.autoencoder.embed_dim,
          .loaded = m.loaded,
          .warnings = m.all_warnings()};
}

void Model::load() {
  const PoolScope pool(&impl_->shared->pool);
  const std::atomic<bool> never{false};
  Collected said;
  impl_->networks(never);
  impl_->add_warnings(said.end());
}

Job Model::prepare(const Request& request) const { return prepare(CheckedRequest(request)); }

Job Model::prepare(const CheckedRequest& request) const {
  return Job(std::make_shared<Job::Impl>(impl_, request.impl().parsed));
}

CheckedRequest::CheckedRequest(const Request& request)
    : impl_(std::make_shared<Impl>(Impl{engine::parse_request(request)})) {}

}  // namespace sumi
