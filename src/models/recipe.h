// How a family makes the networks of its models, and where a checkpoint has their parameters.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/config.h"
#include "models/denoiser.h"
#include "models/text_encoder.h"

namespace sumi::models {

template <class Network> struct RecipePart {
  std::string_view prefix;                               // of its parameters' names, as the engine has them
  std::unique_ptr<Network> (*make)(const ModelConfig&);  // without values; binding adds them
};

struct Recipe {
  std::vector<RecipePart<TextEncoder>> text_encoders;
  RecipePart<Denoiser> denoiser;
  RecipePart<AutoencoderKL> autoencoder;
};

// The recipe of Stable Diffusion 1, under the prefixes of loading/prefixes.h: CLIP's text encoder, LDM's UNet, LDM's
// autoencoder, each from its part of the configuration.
Recipe compvis_recipe();

}  // namespace sumi::models
