// An opened model: its facts, and its networks once a job needs them.
#include "base/check.h"
#include "base/log.h"
#include "engine/impl.h"

namespace sumi {
namespace {

WarningSink into(std::vector<std::string>& warnings) {
  return [&warnings](const std::string& message) { warnings.push_back(message); };
}

}  // namespace

Model::Impl::Impl(std::shared_ptr<engine::Shared> parent, const ModelOptions& o, std::string called)
    : shared(std::move(parent)), name(std::move(called)), options(o) {
  const PoolScope pool(&shared->pool);
  const WarningScope scope(into(warnings_));
  SUMI_CHECK_KIND(kUsage, !options.path.empty(), "`path` is empty; name a checkpoint or a folder");
  opened = engine::open_model(options);
  try {
    tokenizer_ =
        engine::load_tokenizer(opened, options.tokenizer,
                               {.data_folder = shared->options.data_folder, .hub_cache = shared->options.hub_cache});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoInput) throw;
    no_tokenizer_ = error.what();
  }
}

const text::ClipTokenizer& Model::Impl::tokenizer() const {
  SUMI_CHECK_KIND(kNoInput, tokenizer_, "{}", no_tokenizer_);
  return *tokenizer_;
}

const models::StableDiffusion& Model::Impl::networks() {
  const std::lock_guard lock(mutex_);
  if (!networks_) {
    networks_ = engine::load_model(opened);
    loaded = true;
  }
  return *networks_;
}

const engine::PreviewMap& Model::Impl::preview_map() {
  const models::StableDiffusion& model = networks();
  const std::lock_guard lock(mutex_);
  if (!preview_map_) preview_map_ = engine::fit_preview(model);
  return *preview_map_;
}

void Model::Impl::add_warnings(std::vector<std::string> more) {
  const std::lock_guard lock(mutex_);
  warnings_.insert(warnings_.end(), more.begin(), more.end());
}

std::vector<std::string> Model::Impl::all_warnings() {
  const std::lock_guard lock(mutex_);
  return warnings_;
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
          .latent_channels = config.unet.in_channels,
          .loaded = m.loaded,
          .warnings = m.all_warnings()};
}

void Model::load() {
  const PoolScope pool(&impl_->shared->pool);
  std::vector<std::string> said;
  {
    const WarningScope scope(into(said));
    impl_->networks();
  }
  impl_->add_warnings(std::move(said));
}

Job Model::prepare(const Request& request) const { return prepare(CheckedRequest(request)); }

Job Model::prepare(const CheckedRequest& request) const {
  return Job(std::make_shared<Job::Impl>(impl_, request.impl().parsed));
}

CheckedRequest::CheckedRequest(const Request& request)
    : impl_(std::make_shared<Impl>(Impl{engine::parse_request(request)})) {}

}  // namespace sumi
