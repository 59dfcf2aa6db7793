#include "models/stable_diffusion.h"
#include "models/control/control_net.h"

#include <algorithm>
#include <string_view>

#include "base/text_util.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/clip_text/clip_text.h"
#include "models/family.h"
#include "models/loading/averages.h"
#include "models/loading/bind.h"
#include "models/loading/prefixes.h"
#include "models/lora.h"
#include "models/taesd/taesd_file.h"
#include "models/unet/unet.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

bool has_any(const io::Checkpoint& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const io::TensorInfo& info) { return info.name.starts_with(prefix); });
}

// A file may have the denoiser as running averages alone.
bool has_denoiser(const io::Checkpoint& file, std::string_view prefix) {
  const std::string average = average_name(std::string(prefix) + "x");
  return has_any(file, prefix) || (!average.empty() && has_any(file, average.substr(0, average.size() - 1)));
}

// What training keeps in a checkpoint beside its networks: the noise schedule's tables, running averages, counters.
bool is_bookkeeping(std::string_view name) {
  static constexpr std::string_view kNames[] = {"betas",
                                                "alphas_cumprod",
                                                "alphas_cumprod_prev",
                                                "sqrt_alphas_cumprod",
                                                "sqrt_one_minus_alphas_cumprod",
                                                "log_one_minus_alphas_cumprod",
                                                "sqrt_recip_alphas_cumprod",
                                                "sqrt_recipm1_alphas_cumprod",
                                                "posterior_variance",
                                                "posterior_log_variance_clipped",
                                                "posterior_mean_coef1",
                                                "posterior_mean_coef2",
                                                "lvlb_weights",
                                                "logvar",
                                                "scale_factor",
                                                "global_step",
                                                "denoiser.sigmas"};
  return name.starts_with("model_ema.") || name.ends_with("position_ids") ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Tensors outside of all networks, for the warning of what nobody needs.
void note_unneeded(const io::Checkpoint& file, const Recipe& recipe, BindReport& report) {
  for (const io::TensorInfo& info : file.tensors()) {
    const auto is_of = [&](const auto& part) { return info.name.starts_with(part.prefix); };
    const bool known = is_of(recipe.denoiser) || is_of(recipe.autoencoder) ||
                       std::any_of(recipe.text_encoders.begin(), recipe.text_encoders.end(), is_of);
    if (!known && !is_bookkeeping(info.name)) report.unneeded.push_back(shorten(strip_control(info.name), 160));
  }
}

bool is_of_encoder(std::string_view name, std::string_view prefix) {
  const std::string_view own = name.substr(prefix.size());
  return own.starts_with("encoder.") || own.starts_with("quant_conv.");
}

// Whether the file has all parameters of that half.
bool has_half(nn::Module& autoencoder, const io::Checkpoint& file, std::string_view prefix, bool encoder) {
  bool all = true;
  nn::for_each_param(autoencoder, std::string(prefix), [&](const std::string& name, nn::Param& param) {
    if (is_of_encoder(name, prefix) != encoder) return;
    const io::TensorInfo* info = file.find(name);
    all &= info != nullptr && info->shape.numel() == param.shape.numel();
  });
  return all;
}

void check_full_encoder(const io::Checkpoint& file, const std::string& prefix) {
  SUMI_CHECK(has_any(file, prefix + "encoder."),
             "{}: its autoencoder has no encoder, which pictures as input need; give a whole one with `vae`",
             file.path().string());
}

void check_tiny_encoder(const io::Checkpoint& file, const TaesdConfig& config) {
  SUMI_CHECK(config.encoder,
             "{}: its tiny autoencoder has no encoder, which pictures as input need; put taesd_encoder beside the file "
             "of `vae`",
             file.path().string());
}

void check_autoencoder(const io::Checkpoint& file, std::string_view prefix, const LoadOptions& options) {
  const std::string path = file.path().string(), own(prefix);
  SUMI_CHECK(has_any(file, prefix), "{}: has no autoencoder; give one with `vae`", path);
  SUMI_CHECK(!options.decoder || has_any(file, own + "decoder."),
             "{}: its autoencoder has no decoder, which drawing needs; give a whole one with `vae`", path);
  if (options.encoder) check_full_encoder(file, own);
}

std::unique_ptr<Taesd> load_tiny(const io::Checkpoint& file, std::string_view prefix, const TaesdConfig& config,
                                 const LoadOptions& options, BindReport& report, const BindOptions& bind) {
  const std::string path = file.path().string();
  SUMI_CHECK(config.decoder || !options.decoder,
             "{}: its tiny autoencoder has no decoder, which drawing needs; put taesd_decoder beside the file of `vae`",
             path);
  if (options.encoder) check_tiny_encoder(file, config);
  return bind_taesd(file, prefix, config, report, bind);
}

}  // namespace

void check_encoder(const io::Checkpoint& checkpoint) {
  if (const auto tiny = taesd_in(checkpoint, kVaePrefix)) return check_tiny_encoder(checkpoint, *tiny);
  check_full_encoder(checkpoint, std::string(kVaePrefix));
}

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
  const io::Checkpoint& file = *checkpoint;
  const auto make = [&](const auto& part, bool fresh) {
    auto network = part.make(config);
    if (!fresh) bind_module(*network, file, std::string(part.prefix), report, bind_options);
    return network;
  };
  if (options.text) {
    for (const auto& encoder : recipe.text_encoders) {
      SUMI_CHECK(options.fresh_text || has_any(file, encoder.prefix),
                 "{}: has no text encoder; give a whole checkpoint, or a folder with text_encoder/",
                 file.path().string());
      parts.text_encoders.push_back(make(encoder, options.fresh_text));
    }
  }
  if (options.unet) {
    SUMI_CHECK(options.fresh_unet || has_denoiser(file, recipe.denoiser.prefix),
               "{}: has no UNet; give a whole checkpoint", file.path().string());
    parts.denoiser = make(recipe.denoiser, options.fresh_unet);
  }
  if (options.autoencoder) {
    const std::string prefix(recipe.autoencoder.prefix);
    if (const auto tiny = taesd_in(file, prefix)) {
      parts.autoencoder = load_tiny(file, prefix, *tiny, options, report, bind_options);
      parts.encodes = tiny->encoder;
    } else {
      check_autoencoder(file, prefix, options);
      parts.autoencoder = recipe.autoencoder.make(config);
      const bool encoder = options.encoder || has_half(*parts.autoencoder, file, prefix, true);
      const bool decoder = options.decoder || has_half(*parts.autoencoder, file, prefix, false);
      BindOptions halves = bind_options;
      halves.skip = [&](const std::string& name) { return is_of_encoder(name, prefix) ? !encoder : !decoder; };
      bind_module(*parts.autoencoder, file, prefix, report, halves);
      parts.encodes = encoder;
    }
  }
  if (options.text && options.unet && options.autoencoder) note_unneeded(file, recipe, report);
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

Autoencoder& StableDiffusion::autoencoder() const {
  SUMI_CHECK_KIND(kInternal, components_.autoencoder, "the autoencoder was not loaded");
  return *components_.autoencoder;
}

AutoencoderKL& StableDiffusion::autoencoder_kl() const {
  auto* full = dynamic_cast<AutoencoderKL*>(&autoencoder());
  SUMI_CHECK_KIND(kUsage, full != nullptr,
                  "training needs the full autoencoder, and this one is tiny: leave out `vae`, or give another");
  return *full;
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
  for (size_t i = 0; i < text_encoders().size(); ++i) {
    TextQuery own = query;
    own.added.clear();
    if (i < query.added.size()) own.added = {query.added[i]};
    const TextStates states = text_encoders()[i]->encode(ids, own);
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

Tensor StableDiffusion::encode_hint(const ControlNet& network, const Tensor& hint) const {
  const ContextScope here = scope();
  return network.encode_hint(cast(hint, Context::current().activations));
}

ControlResiduals StableDiffusion::control(const ControlNet& network, const Tensor& x,
                                          const std::vector<double>& timesteps, const Conditioning& conditioning,
                                          const Tensor& hint, ContextCache* cache) const {
  const ContextScope here = scope();
  return network(cast(x, Context::current().activations), timesteps, conditioning.sequence, hint, cache);
}

Tensor StableDiffusion::in_autoencoders_scale(const Tensor& latent) const {
  if (!encodes_with_variance()) return latent;
  return latent * static_cast<float>(1.0 / config().autoencoder.scale_factor);
}

Tensor StableDiffusion::decode(const Tensor& latent) const { return decode_unscaled(in_autoencoders_scale(latent)); }

Tensor StableDiffusion::decode_tiled(const Tensor& latent) const {
  const ContextScope here = scope(true);
  return autoencoder().decode_tiled(in_autoencoders_scale(latent), kTileBudget);
}

Tensor StableDiffusion::decode_unscaled(const Tensor& z) const {
  const ContextScope here = scope(true);
  return autoencoder().decode(z);
}

Tensor StableDiffusion::encode(const Tensor& image) const {
  SUMI_CHECK(components_.encodes, "the model's autoencoder has no encoder; give a whole one with `vae`");
  const ContextScope here = scope(true);
  return autoencoder().encode(image);
}

}  // namespace sumi::models
