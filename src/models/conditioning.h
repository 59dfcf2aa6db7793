// The inputs of a denoiser besides the noisy latent and the timestep: prompts, control networks and masks become one of
// these.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace sumi::models {

// What a control network adds inside a UNet, new at every call.                          (Zhang et al. 2023)
struct ControlResiduals {
  std::vector<Tensor> skips;  // one for each skip connection, in the order of the way down; may be empty
  Tensor middle;              // added after the middle block
};

// Every part may be undefined. A denoiser refuses parts it cannot use (see Denoiser); none is ignored silently.
struct Conditioning {
  Tensor sequence;           // text, token by token [B,T,D]
  Tensor pooled;             // the whole text in one vector [B,P]
  Tensor added;              // sizes and crops as embeddings [B,A]         (Podell et al. 2023, section 2.2)
  ControlResiduals control;  // [B,H',W',C'] each
  Tensor channels;           // concatenated to the latent, [B,H,W,C]: mask and masked picture of inpainting
};

// The conditioning of a batch twice as large, first `uncond`, then `cond`, for classifier-free guidance. Throws
// Error(kData) unless both have the same parts of the same shapes, and Error(kUsage) if neither has any text to guide
// by.
Conditioning concat(const Conditioning& uncond, const Conditioning& cond);

}  // namespace sumi::models
