// From noise to latent: the door to every sampler and schedule. Knows no model, only a function that predicts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "diffusion/noise_schedule.h"

namespace sumi::diffusion {

// The network with guidance already applied: x [N,H,W,C] at timestep t (in [0, T-1]; may be fractional) to its raw
// output (eps or v), same shape.
using Model = std::function<Tensor(const Tensor& x, double timestep)>;

// Fresh standard normal noise of the shape given ([N,H,W,C]), drawn from the job's one generator in NCHW order.
using NoiseSource = std::function<Tensor(const Shape& shape)>;

struct SampleOptions {
  std::string sampler = "ddim";
  std::string schedule;  // empty: the sampler's own default
  int steps = 50;
  double eta = 0.0;  // ddim alone
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

// The name of the schedule that `options` come to: the sampler's own where none is named. Throws as
// check_sample_options does.
std::string schedule_of(const SampleOptions& options);

struct NamedHelp {
  std::string name, help;
  std::vector<std::string> aliases;
};
std::vector<NamedHelp> list_samplers();
std::vector<NamedHelp> list_schedules();
// The registered name for a name or alias ("DPM++ 2M Karras" → sampler "dpmpp_2m", schedule "karras"); throws
// Error(kUsage) that lists the known ones. `schedule` is set only where the alias carries one.
std::string resolve_sampler(const std::string& name, std::string* schedule);

// Classifier-free guidance in one 2B batch, order [uncond, cond]; `network(x [2B,…], timestep, context)`. At scale 1
// the unconditional half is skipped. `cond` and `uncond` are [B,T,D].
using Network = std::function<Tensor(const Tensor& x, double timestep, const Tensor& context)>;
Model guided(const Network& network, const Tensor& cond, const Tensor& uncond, double scale);

}  // namespace sumi::diffusion
