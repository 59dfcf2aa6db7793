// Walks through the networks' layers as they run, counting the bytes of activations that live at once.
#pragma once

#include <cstdint>

#include "models/config.h"

namespace sumi::models {
struct TaesdConfig;  // models/taesd/taesd.h
}

namespace sumi::engine {

// What tensors of `float_bytes` take that are stored as f16 or bf16 and of which the host's kernels make float copies
// while an op runs: 2 + 4 bytes a value instead of 4.
int64_t with_float_copies(int64_t float_bytes);

// Largest sum of live activations while the UNet runs on [batch,height,width,C].
int64_t unet_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width,
                  DType activations = DType::kF32);

// The residuals of a ControlNet for the UNet's skips and middle, and the largest sum of live activations while it makes
// them, these included.
int64_t control_residual_bytes(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width,
                               DType activations = DType::kF32);
int64_t control_peak(const models::UNetConfig& config, int64_t batch, int64_t height, int64_t width,
                     DType activations = DType::kF32);

// A text of `tokens` tokens, with the keys and values that all cross-attentions keep of it for a trajectory.
int64_t context_bytes(const models::UNetConfig& config, int64_t batch, int64_t tokens, DType activations = DType::kF32);

// Largest sum of live activations while the autoencoder's decoder runs on one latent [1,height,width,z].
int64_t decoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

// The same for the encoder on one picture of that latent's size.
int64_t encoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

// The same for decoding in tiles.
int64_t tiled_decoder_peak(const models::AutoencoderConfig& config, int64_t height, int64_t width);

// The same three for a tiny autoencoder.
int64_t tiny_decoder_peak(const models::TaesdConfig& config, int64_t height, int64_t width);
int64_t tiny_encoder_peak(const models::TaesdConfig& config, int64_t height, int64_t width);
int64_t tiny_tiled_decoder_peak(const models::TaesdConfig& config, int64_t height, int64_t width, int64_t budget);

}  // namespace sumi::engine
