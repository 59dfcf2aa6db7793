#include "models/stable_diffusion.h"

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/autoencoder_kl/tiles.h"
#include "models/clip_text/clip_text.h"
#include "models/family.h"
#include "models/loading/bind.h"
#include "models/lora.h"
#include "models/unet/unet.h"
#include "ops/conv.h"
#include "ops/elementwise.h"

namespace sumi::models {

struct StableDiffusion::Parts {
  ModelConfig config;
  diffusion::NoiseSchedule noise;
  Device device;
  ConvAlgorithm convolutions;
  std::shared_ptr<const io::Checkpoint> checkpoint;  // keeps the mapping
  std::unique_ptr<ClipText> text;
  std::unique_ptr<UNet> unet;
  std::unique_ptr<AutoencoderKL> autoencoder;
};

StableDiffusion::StableDiffusion() : parts_(std::make_unique<Parts>()) {}
StableDiffusion::StableDiffusion(StableDiffusion&&) noexcept = default;
StableDiffusion::~StableDiffusion() = default;

StableDiffusion StableDiffusion::load(std::shared_ptr<const io::Checkpoint> checkpoint, const ModelConfig& config,
                                      const LoadOptions& options) {
  check_config(config);
  StableDiffusion model;
  Parts& parts = *model.parts_;
  parts.config = config;
  parts.noise =
      diffusion::make_noise_schedule(config.beta_schedule, config.timesteps, config.linear_start, config.linear_end);
  parts.device = options.device;
  parts.convolutions = options.exact ? ConvAlgorithm::kDirect : ConvAlgorithm::kAuto;
  BindReport report;
  const BindOptions bind_options{.device = options.device, .use_ema = options.use_ema};
  const Components components = family_for(config).components;
  const auto fill = [&](auto& part, const auto& component, bool fresh) {
    part = component.make(config);
    if (!fresh) bind_module(*part, *checkpoint, std::string(component.prefix), report, bind_options);
  };
  if (options.text) fill(parts.text, components.text, options.fresh_text);
  if (options.unet) fill(parts.unet, components.unet, options.fresh_unet);
  if (options.autoencoder) fill(parts.autoencoder, components.autoencoder, false);
  report.check();
  parts.checkpoint = std::move(checkpoint);
  return model;
}

const ModelConfig& StableDiffusion::config() const { return parts_->config; }
const diffusion::NoiseSchedule& StableDiffusion::noise_schedule() const { return parts_->noise; }

void StableDiffusion::set_scale_factor(double factor) { parts_->config.autoencoder.scale_factor = factor; }

namespace {

template <class Part> Part& loaded(const std::unique_ptr<Part>& part, const char* name) {
  SUMI_CHECK_KIND(kInternal, part != nullptr, "the {} was not loaded", name);
  return *part;
}

}  // namespace

ClipText& StableDiffusion::text_encoder() const { return loaded(parts_->text, "text encoder"); }
UNet& StableDiffusion::unet() const { return loaded(parts_->unet, "UNet"); }
AutoencoderKL& StableDiffusion::autoencoder() const { return loaded(parts_->autoencoder, "autoencoder"); }

void StableDiffusion::add_lora(const io::Checkpoint& file, double weight) {
  models::add_lora(file, weight, parts_->unet.get(), parts_->text.get());
}

Tensor StableDiffusion::encode_text(const Tensor& ids) const { return (*parts_->text)(ids); }

Tensor StableDiffusion::predict(const Tensor& x, const std::vector<double>& timesteps, const Tensor& context,
                                ContextCache* cache) const {
  const ConvAlgorithmScope scope(parts_->convolutions);
  return (*parts_->unet)(x, timesteps, context, cache);
}

Tensor StableDiffusion::decode(const Tensor& latent) const {
  return decode_unscaled(latent * static_cast<float>(1.0 / parts_->config.autoencoder.scale_factor));
}

Tensor StableDiffusion::decode_tiled(const Tensor& latent) const {
  const ConvAlgorithmScope scope(parts_->convolutions);
  const Tensor z = latent * static_cast<float>(1.0 / parts_->config.autoencoder.scale_factor);
  return parts_->autoencoder->decode_tiled(z, kTileBudget);
}

Tensor StableDiffusion::decode_unscaled(const Tensor& z) const {
  const ConvAlgorithmScope scope(parts_->convolutions);
  return parts_->autoencoder->decode(z);
}

Tensor StableDiffusion::encode(const Tensor& image) const {
  const ConvAlgorithmScope scope(parts_->convolutions);
  return parts_->autoencoder->encode(image);
}

}  // namespace sumi::models
