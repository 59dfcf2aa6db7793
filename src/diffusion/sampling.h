// From noise to latent: the door to every sampler and schedule. Knows no model, only a function that predicts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace sumi::diffusion {

// What the network's output means.
enum class Prediction { kEpsilon, kVelocity };

// The forward process: q(x_t | x_0) = N(sqrt(alphas_cumprod[t]) x_0, (1 - alphas_cumprod[t]) I), t = 0 … T-1.
struct NoiseSchedule {
  std::vector<double> alphas_cumprod;
  int timesteps() const { return static_cast<int>(alphas_cumprod.size()); }
};
// `kind`: "linear" (LDM's: linspace of the square roots, squared; "scaled_linear" is the same), "linear_betas" (linspace
// of the betas themselves), "cosine" (squaredcos_cap_v2). Computed in double. Throws Error(kData) unless
// 1 <= timesteps <= 100000 and 0 < beta < 1 throughout.
NoiseSchedule make_noise_schedule(const std::string& kind, int timesteps, double linear_start, double linear_end);

// The network with guidance already applied: x [N,H,W,C] at timestep t (in [0, T-1]; may be fractional) to its raw
// output (eps or v), same shape.
using Model = std::function<Tensor(const Tensor& x, double timestep)>;

// Fresh standard normal noise of the shape given ([N,H,W,C]), drawn from the job's one generator in NCHW order.
using NoiseSource = std::function<Tensor(const Shape& shape)>;

struct SampleOptions {
  std::string sampler = "ddim";
  std::string schedule;          // empty: the sampler's own default
  int steps = 50;
  double eta = 0.0;              // ddim and the ancestral samplers
  Prediction prediction = Prediction::kEpsilon;
};

// After each step: its index, the number of steps, the current latent. Throw to stop.
using StepCallback = std::function<void(int step, int steps, const Tensor& latent)>;

// Refuses, with a sentence (Error(kUsage)), unknown names and combinations that make no sense. Cheap; call it first.
void check_sample_options(const SampleOptions& options, const NoiseSchedule& noise);

// Runs `options.sampler` from the standard normal draw x_T [N,H,W,C] (it is scaled here where a sampler wants that) to
// the clean latent. `noise` is drawn from in the order of the implementation each sampler follows.
Tensor sample(const Model& model, const Tensor& x_T, const NoiseSchedule& schedule, const SampleOptions& options,
              const NoiseSource& noise, const StepCallback& on_step = {});

// Timesteps at which `sample` calls the model first in each step, for display and tests.
std::vector<double> sampling_timesteps(const NoiseSchedule& schedule, const SampleOptions& options);

struct NamedHelp { std::string name, help; std::vector<std::string> aliases; };
std::vector<NamedHelp> list_samplers();
std::vector<NamedHelp> list_schedules();
// The registered name for a name or alias ("DPM++ 2M Karras" → sampler "dpmpp_2m", schedule "karras"); throws
// Error(kUsage) that lists the known ones. `schedule` is set only where the alias carries one.
std::string resolve_sampler(const std::string& name, std::string* schedule);

// Classifier-free guidance in one 2B batch, order [uncond, cond]; `network(x [2B,…], timestep, context)`. At scale 1 the
// unconditional half is skipped. `cond` and `uncond` are [B,T,D].
using Network = std::function<Tensor(const Tensor& x, double timestep, const Tensor& context)>;
Model guided(Network network, Tensor cond, Tensor uncond, double scale);

}  // namespace sumi::diffusion
