// A latent diffusion model: text encoders, denoiser and autoencoder, on one device.
#pragma once

#include <memory>

#include "diffusion/noise_schedule.h"
#include "models/components.h"
#include "models/lora/weights.h"
#include "nn/adapters.h"
#include "ops/conv.h"

namespace sumi::models {

class AutoencoderKL;  // models/autoencoder_kl/autoencoder_kl.h
class ControlNet;     // models/control/control_net.h

struct LoadOptions {
  Device device = Device::kCpu;
  bool text = true, unet = true, autoencoder = true;  // which parts to bind
  // Which halves the autoencoder must have; one that it need not have is bound where the file has all of it.
  bool encoder = true, decoder = true;
  // Parts that the file need not have: made without values, for training to fill.
  bool fresh_text = false, fresh_unet = false;
  bool exact = false;  // convolutions as plain sums of products: slower, less rounding
  // What the networks compute in: kF32, kF16 or kBF16. The autoencoder stays in float32 under kF16: activations of some
  // autoencoders go beyond 65504 (stable-diffusion.cpp issue 888).
  DType activations = DType::kF32;
  std::shared_ptr<const diffusion::NoiseSchedule> noise_schedule = nullptr;  // null: made from the configuration
  bool use_ema = false;  // use the running average (model_ema.*) if a file has both; the original does not
};

// Throws Error(kData), as load() would, where the checkpoint's autoencoder cannot encode pictures.
void check_encoder(const io::Checkpoint& checkpoint);

// Its networks run in the caller's context (core/context.h), with its adapters and its profile; only how convolutions
// are computed and the type of the activations are the model's own.
class StableDiffusion {
 public:
  // Binds weights as stored (mapped, in the file's type). Throws Error(kData): for a network that the file lacks, one
  // sentence that names it and how to give it; for a mismatch, the first five missing, unexpected and misshapen
  // tensors. Warns once of tensors that no network needs.
  static StableDiffusion load(std::shared_ptr<const io::Checkpoint> checkpoint, const ModelConfig& config,
                              const LoadOptions& options);
  // From networks that already exist.
  explicit StableDiffusion(Components components);

  const ModelConfig& config() const { return components_.config; }
  const diffusion::NoiseSchedule& noise_schedule() const { return *components_.noise_schedule; }
  Device device() const { return components_.device; }

  // For training, which may compute it from the data.
  void set_scale_factor(double factor) { components_.config.autoencoder.scale_factor = factor; }

  // The components themselves; Error(kInternal) for one that was not loaded.
  const std::vector<std::unique_ptr<TextEncoder>>& text_encoders() const;
  TextEncoder& text_encoder() const { return *text_encoders().front(); }
  Denoiser& denoiser() const;
  Autoencoder& autoencoder() const;
  // The same for training, which needs moments. Error(kUsage) for an autoencoder of another kind.
  AutoencoderKL& autoencoder_kl() const;

  // Adds what an adapter file changes, times `weights`, in the parts that are loaded to `out` (see models/lora.h). The
  // weights stay as they are: the networks compute with the changes where a caller's nn::AdaptersScope says so.
  void adapt(nn::Adapters& out, const io::Checkpoint& file, const LoraWeights& weights) const;

  // ids [B,T] i64, on the host → the last states, [B,T,D].
  Tensor encode_text(const Tensor& ids) const { return encode_text(ids, {}).hidden; }
  // The joined outputs of all text encoders (see Components).
  TextStates encode_text(const Tensor& ids, const TextQuery& query) const;
  // x [B,H,W,C], one timestep a batch entry → the network's output [B,H,W,C]. See Denoiser.
  Tensor predict(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning,
                 ContextCache* cache = nullptr) const;
  // A ControlNet's features of a hint, and its residuals for a call of `predict` with x and the same conditioning (see
  // ControlNet).
  Tensor encode_hint(const ControlNet& network, const Tensor& hint) const;
  ControlResiduals control(const ControlNet& network, const Tensor& x, const std::vector<double>& timesteps,
                           const Conditioning& conditioning, const Tensor& hint, ContextCache* cache = nullptr) const;
  // Latents in the denoiser's scale [B,h,w,4] → pictures in [-1, 1], [B,8h,8w,3].
  Tensor decode(const Tensor& latent) const;
  // The same in tiles (see Autoencoder::decode_tiled), for one large picture [1,h,w,4].
  Tensor decode_tiled(const Tensor& latent) const;
  // z [B,h,w,4] in the autoencoder's scale → picture.
  Tensor decode_unscaled(const Tensor& z) const;
  // Picture [B,H,W,3] in [-1, 1] → moments [B,H/8,W/8,8]: mean then log-variance, not scaled; without a variance the
  // latent itself in the denoiser's scale, [B,H/8,W/8,4]. Error(kData) if the autoencoder has no encoder.
  Tensor encode(const Tensor& image) const;
  bool encodes_with_variance() const { return autoencoder().has_variance(); }

 private:
  // The context that the networks compute in; `wide`: the autoencoder's.
  ContextScope scope(bool wide = false) const;
  Tensor in_autoencoders_scale(const Tensor& latent) const;

  Components components_;
};

}  // namespace sumi::models
