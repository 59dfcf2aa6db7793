// What turns pictures into latents and back.
#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "nn/module.h"

namespace sumi::models {

// What the largest activation of a tile may take (see Autoencoder::decode_tiled); all of a tile's take about three
// times as much.
inline constexpr int64_t kTileBudget = 300'000'000;

// Pictures are [N,H,W,3] in about [-1, 1]. C is the channels of a latent, f how many pixels it has on each side of one
// of its own. Results are float32; between them the networks compute in the context's type of activations.
class Autoencoder : public nn::Module {
 public:
  // Whether encode() gives moments (mean, then log-variance) in the autoencoder's own scale, which the model's scale
  // factor leads to the denoiser's; else it gives latents, and they are in the denoiser's scale, here and in decode().
  virtual bool has_variance() const = 0;

  // Picture → moments [N,H/f,W/f,2C], or latents [N,H/f,W/f,C].
  virtual Tensor encode(const Tensor& image) const = 0;
  // z [N,h,w,C] → picture [N,f·h,f·w,3].
  virtual Tensor decode(const Tensor& z) const = 0;
  // The same for one large picture, in tiles of which no activation takes more than about `budget` bytes.
  virtual Tensor decode_tiled(const Tensor& z, int64_t budget) const = 0;
};

}  // namespace sumi::models
