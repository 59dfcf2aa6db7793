// Any other latent diffusion model with the same parts, in any sizes that an LDM configuration can give.
#include "base/check.h"
#include "models/family.h"

namespace sumi::models {
namespace {

// Published CLIP text encoders all have heads of 64 channels; for other widths the heads cannot be determined.
bool is_clip_width(int64_t width) { return width == 512 || width == 768 || width == 1024 || width == 1280; }

void complete(ModelConfig& c, const std::string& source) {
  const bool published = c.unet.use_spatial_transformer && is_clip_width(c.text.hidden_size) &&
                         (c.unet.context_dim == 768 || c.unet.context_dim == 1024);
  SUMI_CHECK(
      published,
      "{}: its shapes do not determine the number of attention heads (UNet of {} channels, context of {}, text of "
      "{}); give its LDM configuration, a YAML file, with `config`",
      source, c.unet.model_channels, c.unet.context_dim, c.text.hidden_size);
  if (c.unet.context_dim == 768) {  // as Stable Diffusion 1
    c.unet.num_heads = 8;
  } else {  // as Stable Diffusion 2
    c.unet.num_head_channels = 64;
  }
  c.unet.legacy = false;
  c.text.heads = c.text.hidden_size / 64;
  c.text.quick_gelu = c.text.hidden_size <= 768;  // OpenAI's encoders have it, OpenCLIP's larger ones do not
  c.default_size = 64 * c.autoencoder.downsampling();
}

const FamilyRegistration kRegistration({.name = "ldm",
                                        .help = "latent diffusion of other sizes: CLIP text, LDM UNet, KL autoencoder",
                                        .rank = 100,
                                        .fits = [](const ModelConfig&) { return true; },
                                        .complete = complete});

}  // namespace
}  // namespace sumi::models
