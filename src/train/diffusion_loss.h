// The training loss of a latent diffusion model that predicts noise, velocity or the clean latent.
#pragma once

#include "diffusion/noise_schedule.h"
#include "diffusion/process.h"
#include "models/denoiser.h"

namespace sumi::train {

struct DiffusionBatch {
  Tensor z;                        // latents, scaled, [N,h,w,C]
  Tensor noise;                    // the same shape, standard normal
  std::vector<int64_t> timesteps;  // one per latent
  Tensor context;                  // [N,T,D], or undefined
};

struct DiffusionLossOptions {
  diffusion::Prediction prediction = diffusion::Prediction::kEpsilon;
  double min_snr_gamma = 0.0;  // weight of the error of x_0 is min(SNR, γ) (Hang et al. 2023); 0: none
};

// Shifts timesteps drawn uniformly from 0 … timesteps-1 towards more noise for a shift s above 1: u = t/timesteps
// becomes s·u/(1+(s-1)·u). (Esser et al. 2024, eq. 23)
std::vector<int64_t> shift_timesteps(std::vector<int64_t> drawn, int64_t timesteps, double shift);

// x_t = √ᾱ_t·z + √(1-ᾱ_t)·noise, one t per latent, in float as in the original. (Ho et al. 2020, eq. 4)
Tensor add_noise(const diffusion::NoiseSchedule& schedule, const Tensor& z, const Tensor& noise,
                 const std::vector<int64_t>& timesteps);

// Mean squared error of the network's prediction at x_t. (Ho et al. 2020, eq. 14; Salimans and Ho 2022 for v and x_0)
Tensor diffusion_loss(const models::Denoiser& denoiser, const diffusion::NoiseSchedule& schedule,
                      const DiffusionBatch& batch, const DiffusionLossOptions& options = {});

}  // namespace sumi::train
