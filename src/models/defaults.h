// The settings that a picture is drawn with if the user chose none; decided only here.
#pragma once

#include "models/config.h"

namespace sumi::models {

// The values here are those of the original's script (LDM's txt2img.py).
struct DrawingDefaults {
  int64_t size = 512;  // pixels on each side
  std::string sampler = "ddim";
  std::string schedule;  // empty: the sampler's own
  int64_t steps = 50;
  double scale = 7.5;  // of classifier-free guidance; 1: none
  diffusion::Prediction prediction = diffusion::Prediction::kEpsilon;
};

// The settings in the model's configuration; for those it does not have, `form`, the calling command's own defaults.
// Size and prediction are always the model's. A sampler that the model names brings its own schedule.
DrawingDefaults resolve_defaults(const ModelConfig& config, DrawingDefaults form = {});

}  // namespace sumi::models
