// A latent as a small picture, by a linear map of its channels to red, green and blue: what a job shows of its work.
#pragma once

#include <vector>

#include "models/stable_diffusion.h"
#include "sumi/image.h"

namespace sumi::engine {

struct PreviewMap {
  std::vector<float> weights;  // [channels + 1, 3], the last row added to all
};

// The map that comes nearest, by least squares, to what the model's own decoder makes of a latent of coloured patches.
// Costs the decoding of one picture of 128x128 pixels.
PreviewMap fit_preview(const models::StableDiffusion& model);

// latent [1,h,w,C] → h × w pixels.
Image preview_of(const PreviewMap& map, const Tensor& latent);

}  // namespace sumi::engine
