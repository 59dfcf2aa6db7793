// The forward process: how much noise a latent carries at each timestep.
#pragma once

#include <string>
#include <vector>

namespace sumi::diffusion {

// The forward process: q(x_t | x_0) = N(sqrt(alphas_cumprod[t]) x_0, (1 - alphas_cumprod[t]) I), t = 0 … T-1.
struct NoiseSchedule {
  std::vector<double> alphas_cumprod;
  int timesteps() const { return static_cast<int>(alphas_cumprod.size()); }
};
// `kind`: "linear" (LDM's: linspace of the square roots, squared; "scaled_linear" is the same), "linear_betas"
// (linspace of the betas themselves), "cosine" (squaredcos_cap_v2). Computed in double. Throws Error(kData) unless 1 <=
// timesteps <= 100000 and 0 < beta < 1 throughout.
NoiseSchedule make_noise_schedule(const std::string& kind, int timesteps, double linear_start, double linear_end);

}  // namespace sumi::diffusion
