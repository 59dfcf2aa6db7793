// The parameters that a run trains, and its memory and time.
#pragma once

#include "train/ldm_trainer.h"
#include "train/parameters.h"

namespace sumi::train {

// The parameters to train: fresh ones or float32 copies of the model's, installed in it; or for a LoRA low-rank changes
// in `adapters`, which are finished, and to be in the context of everything that the trained model computes.
std::vector<NamedTensor> begin_training(models::StableDiffusion& model, const LdmOptions& options,
                                        nn::Adapters& adapters);

double lora_alpha(const LdmOptions& options);

// Bytes of the trained parameters, their gradients, the optimizer's state and averages: a run's memory without
// activations. 0 for a LoRA, whose share is negligible.
int64_t state_bytes(const models::StableDiffusion& model, const LdmOptions& options);

// Measures one forward and backward step on noise, after a warm-up step. Writes nothing to disk. The model must not be
// used afterwards.
RunPlan plan_ldm(models::StableDiffusion& model, const LdmOptions& options);

}  // namespace sumi::train
