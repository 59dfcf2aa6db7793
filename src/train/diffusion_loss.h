// What a latent diffusion model learns: the noise in a latent, or the velocity.
#pragma once

#include "diffusion/noise_schedule.h"
#include "models/unet/unet.h"

namespace sumi::train {

struct DiffusionBatch {
  Tensor z;                        // latents, scaled, [N,h,w,C]
  Tensor noise;                    // the same shape, standard normal
  std::vector<int64_t> timesteps;  // one a latent
  Tensor context;                  // [N,T,D], or undefined
};

struct DiffusionLossOptions {
  diffusion::Prediction prediction = diffusion::Prediction::kEpsilon;
  double min_snr_gamma = 0.0;  // weights min(SNR, γ)/SNR (Hang et al. 2023); 0: none
};

// One of 0 … timesteps-1 for each of `drawn`, which are these, drawn evenly: with a shift s above 1 more of them are
// late, where there is more noise. u = t/timesteps becomes s·u/(1+(s-1)·u). (Esser et al. 2024, eq. 23)
std::vector<int64_t> shift_timesteps(std::vector<int64_t> drawn, int64_t timesteps, double shift);

// x_t = √ᾱ_t·z + √(1-ᾱ_t)·noise, one t a latent, in float as the original has it. (Ho et al. 2020, eq. 4)
Tensor add_noise(const diffusion::NoiseSchedule& schedule, const Tensor& z, const Tensor& noise,
                 const std::vector<int64_t>& timesteps);

// Mean squared error of the network's prediction at x_t. (Ho et al. 2020, eq. 14; Salimans and Ho 2022 for v)
Tensor diffusion_loss(const models::UNet& unet, const diffusion::NoiseSchedule& schedule, const DiffusionBatch& batch,
                      const DiffusionLossOptions& options = {});

}  // namespace sumi::train
