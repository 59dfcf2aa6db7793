// What a run trains, and how much memory and time it takes.
#pragma once

#include "train/ldm_trainer.h"
#include "train/parameters.h"

namespace sumi::train {

// Puts the trained parameters of `options` in place: fresh ones, changes of low rank, or float32 copies of the model's.
std::vector<NamedTensor> begin_training(models::StableDiffusion& model, const LdmOptions& options);

double lora_alpha(const LdmOptions& options);

// Bytes of what is trained with its gradients, the optimizer's state and averages: what a run takes before its first
// activation. 0 for a LoRA, which takes next to nothing.
int64_t state_bytes(const models::StableDiffusion& model, const LdmOptions& options);

// Runs one step forward and backward on noise, after one to warm up, and changes nothing on disk. The model
// must not be used afterwards.
RunPlan plan_ldm(models::StableDiffusion& model, const LdmOptions& options);

}  // namespace sumi::train
