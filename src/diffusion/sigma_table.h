// Noise levels by timestep and back. σ = sqrt((1 - ᾱ) / ᾱ) is the noise of a latent scaled so that its signal is 1.
#pragma once

#include <vector>

#include "diffusion/noise_schedule.h"

namespace sumi::diffusion {

class SigmaTable {
 public:
  explicit SigmaTable(const NoiseSchedule& noise);

  int timesteps() const { return static_cast<int>(sigmas_.size()); }
  double smallest() const { return sigmas_.front(); }
  double largest() const { return sigmas_.back(); }
  // σ at a timestep in [0, T-1]; between whole ones linear in log σ (k-diffusion) or in σ (diffusers).
  double at(double timestep) const;
  double at_linear(double timestep) const;
  // The timestep of a σ, linear in log σ; clamped to [0, T-1].
  double timestep_of(double sigma) const;

 private:
  std::vector<double> sigmas_, log_sigmas_;
};

}  // namespace sumi::diffusion
