// What steers a denoiser beside the noisy latent: the one thing that prompts, control networks and masks are made into.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace sumi::models {

// What a control network adds inside a UNet, at every call anew.                          (Zhang et al. 2023)
struct ControlResiduals {
  std::vector<Tensor> skips;  // one for each skip connection, in the order of the way down; or none
  Tensor middle;              // added after the middle block
};

// Every part may be undefined. A denoiser refuses parts it cannot use (see Denoiser); none is passed over in silence.
struct Conditioning {
  Tensor sequence;           // text, token by token [B,T,D]
  Tensor pooled;             // the whole text in one vector [B,P]
  Tensor added;              // sizes and crops as embeddings [B,A]         (Podell et al. 2023, section 2.2)
  ControlResiduals control;  // [B,H',W',C'] each
  Tensor channels;           // concatenated to the latent, [B,H,W,C]: mask and masked picture of inpainting
};

// The conditioning of a batch twice as large, first `uncond`, then `cond`; what classifier-free guidance asks for. Both
// must have the same parts of the same shapes: else Error(kData), and Error(kUsage) where `uncond` and `cond` have
// nothing in which they could differ.
Conditioning concat(const Conditioning& uncond, const Conditioning& cond);

}  // namespace sumi::models
