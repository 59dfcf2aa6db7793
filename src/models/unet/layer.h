// What the UNet's blocks have in common: a picture in, a picture out, conditioned on time and text.
#pragma once

#include "models/context_cache.h"
#include "nn/layers.h"

namespace sumi::models {

struct LayerInput {
  Tensor emb;      // timestep embedding [N, 4·model_channels]
  Tensor context;  // text [N,S,D], or undefined
  // The output size of an upsampling layer: that of the skip joined next. Odd sizes are rounded up when halved on the
  // way down, so doubling may give one row or column too many.
  int64_t up_height = -1, up_width = -1;
  ContextCache* cache = nullptr;  // of this context, if its keys and values are to be kept
};

class UNetLayer : public nn::Module {
 public:
  // x [N,H,W,C] → [N,H',W',C'].
  virtual Tensor operator()(const Tensor& x, const LayerInput& c) const = 0;
};

}  // namespace sumi::models
