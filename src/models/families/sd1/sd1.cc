// Stable Diffusion 1.x: the sizes of v1-inference.yaml, inpainting variants (9 input channels) included.
#include <algorithm>

#include "models/family.h"

namespace sumi::models {
namespace {

bool fits(const ModelConfig& c) {
  const UNetConfig& u = c.unet;
  const bool shallow = u.middle_depth == 1 && std::all_of(u.transformer_depth.begin(), u.transformer_depth.end(),
                                                          [](int64_t depth) { return depth <= 1; });
  return u.use_spatial_transformer && u.model_channels == 320 && u.channel_mult == std::vector<int64_t>{1, 2, 4, 4} &&
         u.context_dim == 768 && !u.use_linear_in_transformer && shallow && c.text.hidden_size == 768;
}

void complete(ModelConfig& c, const std::string&) {
  c.unet.num_heads = 8;
  c.unet.legacy = false;
  c.text.heads = 12;
  c.beta_schedule = "linear";
  c.timesteps = 1000;
  c.linear_start = 0.00085;
  c.linear_end = 0.012;
  c.autoencoder.scale_factor = 0.18215;
  c.default_size = 512;
}

const FamilyRegistration kRegistration({.name = "sd1",
                                        .help = "Stable Diffusion 1.1 to 1.5 and models made from them",
                                        .rank = 0,
                                        .fits = fits,
                                        .complete = complete});

}  // namespace
}  // namespace sumi::models
