// A latent diffusion model: text encoder, UNet and autoencoder, bound to a checkpoint's tensors.
#pragma once

#include <memory>

#include "models/config.h"
#include "models/unet/context_cache.h"

namespace sumi::models {

class ClipText;
class UNet;
class AutoencoderKL;

struct LoadOptions {
  Device device = Device::kCpu;
  bool text = true, unet = true, autoencoder = true;  // which parts to bind
  // Parts that the file need not have: made without values, for training to fill.
  bool fresh_text = false, fresh_unet = false;
  bool exact = false;    // convolutions as plain sums of products: slower, and rounding less
  bool use_ema = false;  // take the running average (model_ema.*) where a file has both; the original does not
};

class StableDiffusion {
 public:
  // Binds weights as they lie in the file (mapped, in the file's type). A mismatch throws Error(kData) that lists the
  // first five missing, unexpected and misshapen tensors.
  static StableDiffusion load(std::shared_ptr<const io::Checkpoint> checkpoint, const ModelConfig& config,
                              const LoadOptions& options);
  StableDiffusion(StableDiffusion&&) noexcept;
  ~StableDiffusion();

  const ModelConfig& config() const;
  const diffusion::NoiseSchedule& noise_schedule() const;

  // For training, which may tell it from the data.
  void set_scale_factor(double factor);

  // The parts themselves, for those who train them; Error(kInternal) for one that was not loaded.
  ClipText& text_encoder() const;
  UNet& unet() const;
  AutoencoderKL& autoencoder() const;

  // Adds what a LoRA file changes, times `weight`, to the parts that are loaded (see models/lora.h).
  void add_lora(const io::Checkpoint& file, double weight);

  // ids [B,T] i64, on the host → last hidden state after the final layer norm, [B,T,D].
  Tensor encode_text(const Tensor& ids) const;
  // x [B,H,W,C], one timestep a batch entry, context [B,T,D] (undefined for a model without context) → [B,H,W,C].
  // A `cache` spares the later calls with one context its keys and values.
  Tensor predict(const Tensor& x, const std::vector<double>& timesteps, const Tensor& context,
                 ContextCache* cache = nullptr) const;
  // Latents as the UNet has them (scaled) [B,h,w,4] → pictures in [-1, 1], [B,8h,8w,3].
  Tensor decode(const Tensor& latent) const;
  // The same in tiles (see AutoencoderKL::decode_tiled), for one large picture [1,h,w,4].
  Tensor decode_tiled(const Tensor& latent) const;
  // z [B,h,w,4] as the autoencoder has it (not scaled) → picture.
  Tensor decode_unscaled(const Tensor& z) const;
  // Picture [B,H,W,3] in [-1, 1] → moments [B,H/8,W/8,8]: mean then log-variance, not scaled.
  Tensor encode(const Tensor& image) const;

 private:
  StableDiffusion();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sumi::models
