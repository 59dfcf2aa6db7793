// What a Stable Diffusion checkpoint holds: every tensor's name and shape, derived from the model's configuration.
//
// The engine finds its names through the modules' visit(); this list is made the other way, from the published
// architecture, so that checkpoints written from it test the engine instead of repeating it.
#pragma once

#include <string>
#include <vector>

#include "core/shape.h"
#include "models/config.h"

namespace sumi::tools {

struct LayoutEntry {
  std::string name;            // in a CompVis checkpoint
  Shape shape;                 // in a CompVis checkpoint
  std::string component;       // the diffusers folder that holds it: "unet", "vae", "text_encoder"; empty: not there
  std::string diffusers_name;  // its name in that folder
  Shape diffusers_shape;       // the autoencoder's attention is linear in diffusers, a 1x1 convolution in CompVis
};

// Tensors of `config`, in the order of the original's state_dict. Covers the spatial-transformer UNets without
// up/down-sampling residual blocks; throws Error(kUsage) for others.
std::vector<LayoutEntry> checkpoint_layout(const models::ModelConfig& config);

// "sd1": Stable Diffusion 1.x, 1.07 billion values. "tiny": the same architecture, narrow: 17 million.
// Throws Error(kUsage) for any other name.
models::ModelConfig synthetic_config(const std::string& size);

}  // namespace sumi::tools
