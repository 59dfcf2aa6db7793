// Walks through the networks' layers as they run, counting the bytes of activations that live at once.
#pragma once

#include <cstdint>

#include "models/config.h"

namespace sumi::pipeline {

// Largest sum of live activations while the UNet runs on [batch,height,width,C].
int64_t unet_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width);

// A text of `tokens` tokens and what all cross-attentions keep of it for a trajectory: keys and values.
int64_t context_bytes(const models::UNetConfig& config, int64_t batch, int64_t tokens);

// The same as for the UNet for the autoencoder's decoder on one latent [1,height,width,z].
int64_t decoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

// The same where it decodes in tiles.
int64_t tiled_decoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

}  // namespace sumi::pipeline
