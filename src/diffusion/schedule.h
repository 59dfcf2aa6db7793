// The interface of a schedule: the points between noise and picture at which a sampler calls the network.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "diffusion/sigma_table.h"

namespace sumi::diffusion {

// How a group of samplers places its points, where diffusers' schedulers differ.
struct Spacing {
  bool solver = false;  // DPM-Solver and UniPC: whole timesteps, spaced as for one step more, the last point left out
};

struct Schedule {
  std::string name, help;
  std::vector<std::string> aliases = {};
  // Exactly one of the two. Timesteps of the network calls, descending, each in [0, T-1]; or noise levels σ, descending
  // and above 0.
  std::function<std::vector<double>(int total, int steps, Spacing spacing)> timesteps = {};
  std::function<std::vector<double>(const SigmaTable& table, int steps)> sigmas = {};
  // True for the original's grid and diffusers' "leading", which begin below the last timestep: x_T is a latent of unit
  // variance. Otherwise x_T is pure noise, to be scaled by σ.
  bool unit_variance_start = false;
  // Where samplers on timesteps end a step. True: at the grid's next entry. False: at t - T/steps, diffusers' rule.
  bool previous_is_next_entry = false;
  // diffusers' option on top of its grids: the solvers round its timesteps and start from unit variance.
  bool diffusers_sigmas = false;
};

// The registered schedule with that name or alias; throws Error(kUsage) that lists the known ones.
const Schedule& find_schedule(const std::string& name);

// numpy's round: halves to even.
double round_half_even(double value);

}  // namespace sumi::diffusion
