// The networks that a model consists of: how its family makes them, and where a checkpoint has their parameters.
#pragma once

#include <memory>
#include <string_view>

#include "models/config.h"

namespace sumi::models {

class ClipText;
class UNet;
class AutoencoderKL;

template <class Network> struct Component {
  std::string_view prefix;                               // of its parameters' names, as the engine has them
  std::unique_ptr<Network> (*make)(const ModelConfig&);  // without values, which binding gives
};

struct Components {
  Component<ClipText> text;
  Component<UNet> unet;
  Component<AutoencoderKL> autoencoder;
};

// Those of Stable Diffusion 1, under the prefixes of loading/prefixes.h: CLIP's text encoder, LDM's UNet, LDM's
// autoencoder, each from its part of the configuration.
Components compvis_components();

}  // namespace sumi::models
