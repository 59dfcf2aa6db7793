#include "models/recipe.h"

#include "models/clip_text/clip_text.h"
#include "models/loading/prefixes.h"
#include "models/unet/unet.h"

namespace sumi::models {

Recipe compvis_recipe() {
  using Config = const ModelConfig&;
  return {
      .text_encoders = {{kTextPrefix,
                         [](Config c) -> std::unique_ptr<TextEncoder> { return std::make_unique<ClipText>(c.text); }}},
      .denoiser = {kUNetPrefix, [](Config c) -> std::unique_ptr<Denoiser> { return std::make_unique<UNet>(c.unet); }},
      .autoencoder = {kVaePrefix, [](Config c) { return std::make_unique<AutoencoderKL>(c.autoencoder); }}};
}

}  // namespace sumi::models
