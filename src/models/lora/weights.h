// How strongly an adapter file acts on each part of a model.
#pragma once

namespace sumi::models {

struct LoraWeights {
  double unet = 1.0, text = 1.0;
};

}  // namespace sumi::models
