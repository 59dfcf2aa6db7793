// The interface of a sampler, and the job it is given to run.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/registry.h"
#include "diffusion/sampling.h"
#include "diffusion/schedule.h"

namespace sumi::diffusion {

// One run of a sampler, from noise to latent: the network, the points of the grid, the noise. Samplers step through the
// points in one of two spaces.
//  - noise levels: x = signal + σ·noise; `sigmas` has one entry more than there are steps, the last usually 0.
//  - timesteps: x = sqrt(ᾱ)·signal + sqrt(1-ᾱ)·noise; `alphas` and `previous_alphas` hold ᾱ before and after each step.
// If a job begins at a later step, so do the points: a sampler always counts from 0.
struct Trajectory {
  const Predictor& predictor;
  const SampleOptions& options;
  const Schedule& schedule;
  const SigmaTable& table;
  const NoiseSource& noise_source;
  const SampleHooks& hooks;

  // The grid's Points from the first step on.
  std::span<const double> timesteps, sigmas, alphas, previous_alphas, previous_timesteps;

  int first_step = 0;  // steps of the whole grid before the first entry here
  int all_steps = 0;   // steps of the whole grid

  // The last network call, for the callback: its estimate of the signal, or what that would be computed from.
  struct Call {
    Tensor signal = {};
    Tensor x = {}, output = {};
    Level level = {};
  };
  mutable Call last_call = {};

  int steps() const { return static_cast<int>(timesteps.size()); }

  // The network's estimate of the signal in x at noise level σ of step i, or at any σ.
  Tensor denoised(const Tensor& x, int i) const {
    return denoised(x, sigmas[static_cast<size_t>(i)], timesteps[static_cast<size_t>(i)]);
  }
  Tensor denoised(const Tensor& x, double sigma) const { return denoised(x, sigma, table.timestep_of(sigma)); }
  Tensor denoised(const Tensor& x, double sigma, double timestep) const;

  // The network's estimate of the noise in x [space of timesteps] at timestep t, where ᾱ = alpha.
  Tensor epsilon(const Tensor& x, double timestep, double alpha) const;

  Tensor fresh_noise(const Tensor& like) const { return noise_source(like.shape()).to(like.device()); }
  // Call after each step with the resulting latent; the next step takes what it is then.
  void report(int step, Tensor& latent) const {
    if (hooks.on_step) hooks.on_step({first_step + step, all_steps, latent, [this] { return last_signal(); }});
    if (step + 1 < steps()) latent = rewritten(latent, step + 1);
  }
  // The latent that step `step` takes. Every sampler is given the first step's.
  Tensor rewritten(const Tensor& latent, int step) const;

 private:
  Tensor last_signal() const;
  Tensor constrained(const Tensor& signal, const Level& level) const;
};

enum class Space { kTimesteps, kSigmas };

struct Sampler {
  std::string name, help;
  std::vector<std::string> aliases = {};  // the first, with a capital, is its name in A1111's web UI
  Space space;
  std::vector<std::string> schedules;  // those it supports; the first is the default
  std::string automatic = {};          // what A1111's "Automatic" means for it; empty: the default
  Spacing spacing = {};
  bool takes_eta = false;
  bool previous_is_next_entry = false;  // steps from one entry of the grid to the next on every schedule
  bool diffusers_sigmas = false;        // uses diffusers' variant of `karras`
  // The points for that many steps, if the sampler defines its own.
  std::function<Points(const NoiseSchedule& noise, int steps)> own_grid = {};
  std::function<Tensor(const Trajectory&, Tensor x)> run;
};

// The schedules that k-diffusion's samplers support.
inline const std::vector<std::string> kSigmaSchedules{"discrete", "karras",   "exponential", "uniform",
                                                      "leading",  "trailing", "linspace",    "linspace_karras"};
inline const std::vector<std::string> kTimestepSchedules{"uniform", "leading", "trailing", "linspace"};

// How far an ancestral step goes down and how much fresh noise it adds, so that σ_down² + σ_up² = σ_to².
struct AncestralStep {
  double down, up;
};
AncestralStep ancestral_step(double from, double to);

}  // namespace sumi::diffusion
