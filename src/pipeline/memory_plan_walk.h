// Walks through the networks' layers as they run, counting the bytes of activations that live at once.
#pragma once

#include <cstdint>

#include "models/config.h"

namespace sumi::pipeline {

// Largest sum of live activations while the UNet runs on [batch,height,width,C].
int64_t unet_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width);

// A text of `tokens` tokens, with the keys and values that all cross-attentions keep of it for a trajectory.
int64_t context_bytes(const models::UNetConfig& config, int64_t batch, int64_t tokens);

// Largest sum of live activations while the autoencoder's decoder runs on one latent [1,height,width,z].
int64_t decoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

// The same for decoding in tiles.
int64_t tiled_decoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

}  // namespace sumi::pipeline
