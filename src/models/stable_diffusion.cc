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
#include "ops/layout.h"

namespace sumi::models {

StableDiffusion StableDiffusion::load(std::shared_ptr<const io::Checkpoint> checkpoint, const ModelConfig& config,
                                      const LoadOptions& options) {
  check_config(config);
  SUMI_CHECK_KIND(kInternal, is_activation_type(options.activations), "networks cannot compute in {}",
                  name_of(options.activations));
  Components parts{
      .config = config, .device = options.device, .exact = options.exact, .activations = options.activations};
  parts.noise_schedule = options.noise_schedule;
  BindReport report;
  const BindOptions bind_options{.device = options.device, .use_ema = options.use_ema};
  const Recipe recipe = family_for(config).recipe;
  const auto make = [&](const auto& part, bool fresh) {
    auto network = part.make(config);
    if (!fresh) bind_module(*network, *checkpoint, std::string(part.prefix), report, bind_options);
    return network;
  };
  if (options.text) {
    for (const auto& encoder : recipe.text_encoders) parts.text_encoders.push_back(make(encoder, options.fresh_text));
  }
  if (options.unet) parts.denoiser = make(recipe.denoiser, options.fresh_unet);
  if (options.autoencoder) parts.autoencoder = make(recipe.autoencoder, false);
  report.check();
  parts.checkpoint = std::move(checkpoint);
  return StableDiffusion(std::move(parts));
}

StableDiffusion::StableDiffusion(Components components) : components_(std::move(components)) {
  const ModelConfig& c = components_.config;
  if (components_.noise_schedule) return;
  components_.noise_schedule = std::make_shared<const diffusion::NoiseSchedule>(
      diffusion::make_noise_schedule(c.beta_schedule, c.timesteps, c.linear_start, c.linear_end));
}

const std::vector<std::unique_ptr<TextEncoder>>& StableDiffusion::text_encoders() const {
  SUMI_CHECK_KIND(kInternal, !components_.text_encoders.empty(), "the text encoder was not loaded");
  return components_.text_encoders;
}

Denoiser& StableDiffusion::denoiser() const {
  SUMI_CHECK_KIND(kInternal, components_.denoiser, "the denoiser was not loaded");
  return *components_.denoiser;
}

AutoencoderKL& StableDiffusion::autoencoder() const {
  SUMI_CHECK_KIND(kInternal, components_.autoencoder, "the autoencoder was not loaded");
  return *components_.autoencoder;
}

ContextScope StableDiffusion::scope(bool wide) const {
  return ContextScope([&](Context& context) {
    context.convolutions = components_.exact ? ConvAlgorithm::kDirect : ConvAlgorithm::kAuto;
    const bool overflows = wide && components_.activations == DType::kF16;
    context.activations = overflows ? DType::kF32 : components_.activations;
  });
}

void StableDiffusion::adapt(nn::Adapters& out, const io::Checkpoint& file, const LoraWeights& weights) const {
  LoraTargets targets{.unet = components_.denoiser.get()};
  for (const auto& encoder : components_.text_encoders) targets.texts.push_back(encoder.get());
  add_lora(file, weights, targets, out);
}

TextStates StableDiffusion::encode_text(const Tensor& ids, const TextQuery& query) const {
  const ContextScope here = scope();
  TextStates joined;
  for (const auto& encoder : text_encoders()) {
    const TextStates states = encoder->encode(ids, query);
    joined.hidden = joined.hidden ? concat_channels(joined.hidden, states.hidden) : states.hidden;
    joined.pooled = states.pooled;
  }
  return joined;
}

Tensor StableDiffusion::predict(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning,
                                ContextCache* cache) const {
  const ContextScope here = scope();
  return denoiser()(x, timesteps, conditioning, cache);
}

Tensor StableDiffusion::decode(const Tensor& latent) const {
  return decode_unscaled(latent * static_cast<float>(1.0 / config().autoencoder.scale_factor));
}

Tensor StableDiffusion::decode_tiled(const Tensor& latent) const {
  const ContextScope here = scope(true);
  const Tensor z = latent * static_cast<float>(1.0 / config().autoencoder.scale_factor);
  return autoencoder().decode_tiled(z, kTileBudget);
}

Tensor StableDiffusion::decode_unscaled(const Tensor& z) const {
  const ContextScope here = scope(true);
  return autoencoder().decode(z);
}

Tensor StableDiffusion::encode(const Tensor& image) const {
  const ContextScope here = scope(true);
  return autoencoder().encode(image);
}

}  // namespace sumi::models
