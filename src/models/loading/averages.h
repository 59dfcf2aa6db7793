// The running averages that LDM's training keeps beside a network's weights, as `model_ema.` and the name without dots.
#pragma once

#include <memory>
#include <string>

#include "io/checkpoint.h"

namespace sumi::models {

// "model.diffusion_model.out.0.bias" → "model_ema.diffusion_modelout0bias"; empty for names outside of `model.`.
std::string average_name(const std::string& name);

// A file that has a UNet only as averages, under the names of the weights; any other file as it is. Also one whose
// UNet's sizes its names and shapes do not determine: binding finds the averages by themselves.
std::unique_ptr<io::Checkpoint> with_averages_as_weights(std::unique_ptr<io::Checkpoint> file);

}  // namespace sumi::models
