// One trajectory from noise to latent through a model's denoiser, checked at every step.
#pragma once

#include <atomic>
#include <functional>

#include "diffusion/sampling.h"
#include "models/stable_diffusion.h"

namespace sumi::engine {

struct SampleJob {
  const diffusion::Grid& grid;
  diffusion::Start start;
  models::Conditioning cond;
  models::Conditioning uncond;  // the same parts in the same shapes; may be empty at scale 1
  double scale = 7.5;
  diffusion::Constraint constrain = {};
  diffusion::Rewrite rewrite = {};
  // The control of a network call, x [B,H,W,C] with its conditioning, in step `step` of those that the trajectory
  // makes, counted from 0; none: no control.
  std::function<models::ControlResiduals(const Tensor& x, const std::vector<double>& timesteps,
                                         const models::Conditioning& conditioning, int step)>
      control = {};
};

// What watches a trajectory; any may be empty.
struct SampleWatch {
  const std::atomic<bool>* cancel = nullptr;
  std::function<void()> check_files = {};  // throws if a mapped file changed; called after each step
  diffusion::StepCallback on_step = {};
};

// Throws Error(kCancelled) within a step of `cancel` being set, Error(kInternal) as soon as a latent on the host is not
// finite, and what check_files throws.
Tensor sample_latent(const models::StableDiffusion& model, const SampleJob& job, const diffusion::NoiseSource& noise,
                     const SampleWatch& watch = {});

// Draws from `noise` what sample_latent would draw, and discards it. The job's conditionings are not read.
void pass_over_latent(const SampleJob& job, const diffusion::NoiseSource& noise);

// Throws Error(kInternal) if a picture has values that are not finite. Needed on devices with memory of their own,
// where latents are not checked at every step.
void check_picture(const Tensor& picture);

// Throws Error(kCancelled) if `cancel` is set.
void check_cancelled(const std::atomic<bool>* cancel);

}  // namespace sumi::engine
