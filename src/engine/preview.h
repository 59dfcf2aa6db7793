// What a job shows of its work: a latent as a small picture, by a linear map of its channels to red, green and blue, or
// as a picture of full size, by a tiny autoencoder.
#pragma once

#include <vector>

#include "engine/open.h"
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

// A tiny autoencoder that draws previews.
struct PreviewDecoder {
  OpenModel opened;
  models::StableDiffusion network;  // its decoder alone
  int64_t width = 0;                // its channels
  int64_t weight_bytes = 0;
};

// Opens the file of ModelOptions::preview_vae for a model of that configuration. Throws as open_model does, and
// Error(kData) for an autoencoder that is not tiny, or has no decoder.
PreviewDecoder open_preview_decoder(const ModelOptions& options, const models::ModelConfig& config);

// latent [1,h,w,C] → a picture of full size, from the network alone.
Image preview_of(const PreviewDecoder& decoder, const Tensor& latent);

}  // namespace sumi::engine
