// From noise to latent: the interface to every sampler and schedule. Depends on no model, only on a Predictor.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/process.h"

namespace sumi::diffusion {

// The network with its conditioning and guidance already applied: x [N,H,W,C] at timestep t (in [0, T-1]; may be
// fractional) to its raw output (see Prediction), same shape.
using Predictor = std::function<Tensor(const Tensor& x, double timestep)>;

// Fresh standard normal noise of the given shape ([N,H,W,C]), drawn from the job's generator in NCHW order.
using NoiseSource = std::function<Tensor(const Shape& shape)>;

struct SampleOptions {
  std::string sampler = "ddim";
  std::string schedule;  // empty: the sampler's own default
  int steps = 50;
  double eta = 0.0;  // ddim only
  Prediction prediction = Prediction::kEpsilon;
};

// Where a job begins.
//  - first_step 0: x [N,H,W,C] is a standard normal draw; `sample` scales it if the sampler needs that.
//  - a later step k: x is a latent at that step's level, mix(clean, noise, level_of_step(…, k)). Steps before k are
//    skipped, and so is the noise they would have drawn.
struct Start {
  Tensor x;
  int first_step = 0;
};

// The state after a step.
struct StepInfo {
  int step, steps;         // its index in the whole grid, and the grid's length
  const Tensor& latent;    // in the sampler's own scale
  const Tensor& denoised;  // the network's latest estimate of the clean latent, after the constraint, if any
};
// Throw to stop.
using StepCallback = std::function<void(const StepInfo& info)>;

// Called with every estimate of the clean latent [N,H,W,C] and the noise level σ it was made at, and once with the
// final latent and σ 0, since some samplers end at the first timestep's noise. Returns the latent to go on with, of the
// same shape. Inpainting puts the known part of a picture in.
using Constraint = std::function<Tensor(const Tensor& denoised, double sigma)>;

struct SampleHooks {
  StepCallback on_step = {};
  Constraint constrain = {};
};

// Throws Error(kUsage) for unknown names and for combinations that make no sense. Cheap; call it first.
void check_sample_options(const SampleOptions& options, const NoiseSchedule& noise);

// Runs `options.sampler` from `start` to the clean latent. `noise` is called in the order of the implementation that
// the sampler follows. Throws Error(kUsage) if the grid has no step `start.first_step`.
Tensor sample(const Predictor& predictor, const Start& start, const NoiseSchedule& schedule,
              const SampleOptions& options, const NoiseSource& noise, const SampleHooks& hooks = {});

// The level of the latent that step `step` takes, in the variance-preserving scale of Start. Throws as `sample` does.
Level level_of_step(const NoiseSchedule& schedule, const SampleOptions& options, int step);

// The timestep of the first network call in each step of `sample`, for display and tests.
std::vector<double> sampling_timesteps(const NoiseSchedule& schedule, const SampleOptions& options);

// The name of the schedule that `options` select: the sampler's default if none is named. Throws as
// check_sample_options does.
std::string schedule_of(const SampleOptions& options);

struct NamedHelp {
  std::string name, help;
  std::vector<std::string> aliases;
};
std::vector<NamedHelp> list_samplers();
std::vector<NamedHelp> list_schedules();
// The registered name for a name or alias ("DPM++ 2M Karras" → sampler "dpmpp_2m", schedule "karras"); throws
// Error(kUsage) that lists the known ones. `schedule` is set only if the alias contains one.
std::string resolve_sampler(const std::string& name, std::string* schedule);

}  // namespace sumi::diffusion
