// The networks that make up a model, on one device.
#pragma once

#include <memory>
#include <vector>

#include "diffusion/noise_schedule.h"
#include "io/checkpoint.h"
#include "models/autoencoder.h"
#include "models/config.h"
#include "models/denoiser.h"
#include "models/text_encoder.h"

namespace sumi::models {

// Parts that were not loaded are empty.
struct Components {
  ModelConfig config;
  Device device = Device::kCpu;     // where all weights are, and all inputs must be
  bool exact = false;               // convolutions as plain sums of products: slower, less rounding
  DType activations = DType::kF32;  // see LoadOptions
  // All encode the same ids: their states are concatenated along the channels; the pooled vector is the last one's.
  std::vector<std::unique_ptr<TextEncoder>> text_encoders = {};
  std::unique_ptr<Denoiser> denoiser = nullptr;
  std::unique_ptr<Autoencoder> autoencoder = nullptr;
  bool encodes = true;                                                       // the autoencoder's encoder is there
  std::shared_ptr<const diffusion::NoiseSchedule> noise_schedule = nullptr;  // null: made from the configuration
  std::shared_ptr<const io::Checkpoint> checkpoint = nullptr;                // keeps the mapping
};

}  // namespace sumi::models
