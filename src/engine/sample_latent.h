// One trajectory from noise to latent through a model's denoiser, checked at every step.
#pragma once

#include <atomic>

#include "models/stable_diffusion.h"
#include "engine/noise.h"

namespace sumi::engine {

struct SampleJob {
  diffusion::Start start;
  models::Conditioning cond;
  models::Conditioning uncond;  // the same parts in the same shapes; may be empty at scale 1
  double scale = 7.5;
  diffusion::SampleOptions options;
  diffusion::Constraint constrain = {};
};

// Throws Error(kCancelled) within a step of `cancel` being set, Error(kInternal) as soon as a latent on the host is not
// finite, and Error(kData) where the checkpoint's file was truncated during the run.
Tensor sample_latent(const models::StableDiffusion& model, const SampleJob& job, NoiseStream& noise,
                     const std::atomic<bool>* cancel, const diffusion::StepCallback& on_step);

// Draws from `noise` what sample_latent would draw for latents of that shape, and discards it.
void pass_over_latent(const diffusion::NoiseSchedule& schedule, const Shape& shape,
                      const diffusion::SampleOptions& options, NoiseStream& noise);

// Throws Error(kInternal) if a picture has values that are not finite. Needed on devices with memory of their own,
// where latents are not checked at every step.
void check_picture(const Tensor& picture);

// Throws Error(kCancelled) if `cancel` is set.
void check_cancelled(const std::atomic<bool>* cancel);

}  // namespace sumi::engine
