#include "models/components.h"

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/clip_text/clip_text.h"
#include "models/loading/prefixes.h"
#include "models/unet/unet.h"

namespace sumi::models {

Components compvis_components() {
  return {
      .text = {kTextPrefix, [](const ModelConfig& c) { return std::make_unique<ClipText>(c.text); }},
      .unet = {kUNetPrefix, [](const ModelConfig& c) { return std::make_unique<UNet>(c.unet); }},
      .autoencoder = {kVaePrefix, [](const ModelConfig& c) { return std::make_unique<AutoencoderKL>(c.autoencoder); }}};
}

}  // namespace sumi::models
