// How a picture is drawn where nobody chose: the one place that decides it.
#pragma once

#include "models/config.h"

namespace sumi::models {

// The values here are those of the original's script (LDM's txt2img.py).
struct DrawingDefaults {
  int64_t size = 512;  // pixels on each side
  std::string sampler = "ddim";
  std::string schedule;  // empty: the sampler's own
  int64_t steps = 50;
  double scale = 7.5;  // of the classifier-free guidance; 1: none
  diffusion::Prediction prediction = diffusion::Prediction::kEpsilon;
};

// What the model's configuration says; where it says nothing, `form`: what the command at hand has for such models.
// Size and prediction are always the model's. A sampler that the model names brings its own schedule.
DrawingDefaults resolve_defaults(const ModelConfig& config, DrawingDefaults form = {});

}  // namespace sumi::models
