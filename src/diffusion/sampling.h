// From noise to latent: the interface to every sampler and schedule. Depends on no model, only on a Predictor.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/process.h"
#include "diffusion/sigma_table.h"
#include "sumi/named_help.h"

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
  // On noise levels: the schedule is made for one step more and its last level above 0 left out, as A1111's web UI does
  // for dpm_2 and dpm_2_ancestral.
  bool discard_last_level = false;
};

struct Sampler;   // diffusion/sampler.h
struct Schedule;  // diffusion/schedule.h

// Where a sampler calls the network: one entry a step, in the vectors that it uses.
struct Points {
  std::vector<double> timesteps;                // of each step's first network call
  std::vector<double> sigmas;                   // one entry more than there are steps
  std::vector<double> alphas, previous_alphas;  // ᾱ before and after each step
  std::vector<double> previous_timesteps;       // -1 after the last
};

// Everything about sampling that is decided before it begins: the sampler, the schedule and their points. Made once for
// a job, then used for each of its batches. It refers to nothing but the registered sampler and schedule, so it
// outlives the NoiseSchedule it was made from; nothing changes it, so several threads may sample on one grid.
class Grid {
 public:
  int steps() const { return static_cast<int>(points_.timesteps.size()); }  // a schedule may give more than were asked
  // The timestep of the first network call in each step.
  const std::vector<double>& timesteps() const { return points_.timesteps; }
  const Points& points() const { return points_; }
  const SigmaTable& sigma_table() const { return table_; }
  // Takes a step out: the one before it does not end where the next begins. `step`: above 0.
  void leave_out(int step);
  // As given to make_grid.
  const SampleOptions& options() const { return options_; }
  // The registered sampler and schedule; the latter is the sampler's default if none was asked for.
  const Sampler& sampler() const { return *sampler_; }
  const Schedule& schedule() const { return *schedule_; }
  const std::string& sampler_name() const;
  const std::string& schedule_name() const;

 private:
  friend Grid make_grid(const NoiseSchedule& noise, const SampleOptions& options);
  Grid(const Sampler& sampler, const Schedule& schedule, SampleOptions options, SigmaTable table, Points points)
      : sampler_(&sampler),
        schedule_(&schedule),
        options_(std::move(options)),
        table_(std::move(table)),
        points_(std::move(points)) {}

  const Sampler* sampler_;
  const Schedule* schedule_;
  SampleOptions options_;
  SigmaTable table_;
  Points points_;
};

// Throws Error(kUsage) for unknown names, for combinations that make no sense and for steps that the schedule does not
// have.
Grid make_grid(const NoiseSchedule& noise, const SampleOptions& options);

// Where a job begins.
//  - first_step 0: x [N,H,W,C] is a standard normal draw; `sample` scales it if the sampler needs that.
//  - a later step k, or `mixed`: x is a latent at that step's level, mix(clean, noise, level_of_step(grid, k)). Steps
//    before k are skipped, and so is the noise they would have drawn.
struct Start {
  Tensor x;
  int first_step = 0;
  bool mixed = false;
};

// The state after a step.
struct StepInfo {
  int step, steps;       // its index in the whole grid, and the grid's length
  const Tensor& latent;  // in the sampler's own scale
  // The network's latest estimate of the clean latent, after the constraint, if any. Some samplers do not need it: it
  // is computed when it is first asked for, which must be during the callback.
  std::function<Tensor()> denoised;
};
// Throw to stop.
using StepCallback = std::function<void(const StepInfo& info)>;

// Called with every estimate of the clean latent [N,H,W,C] and the noise level σ it was made at, and once with the
// final latent and σ 0, since some samplers end at the first timestep's noise. Returns the latent to go on with, of the
// same shape. Inpainting puts the known part of a picture in.
using Constraint = std::function<Tensor(const Tensor& denoised, double sigma)>;

// Called with the latent that each step is about to take, in the sampler's own scale, whose coefficients `level` holds;
// returns the latent that it takes instead, of the same shape. `step` counts as StepInfo's.
using Rewrite = std::function<Tensor(const Tensor& x, const Level& level, int step)>;

struct SampleHooks {
  StepCallback on_step = {};
  Constraint constrain = {};
  Rewrite rewrite = {};
};

// Runs the grid's sampler from `start` to the clean latent. `noise` is called in the order of the implementation that
// the sampler follows. Throws Error(kUsage) if the grid has no step `start.first_step`.
Tensor sample(const Predictor& predictor, const Start& start, const Grid& grid, const NoiseSource& noise,
              const SampleHooks& hooks = {});

// The level of the latent that step `step` takes, in the variance-preserving scale of Start. Throws as `sample` does.
Level level_of_step(const Grid& grid, int step);

// Throws as make_grid does where the names are unknown or the sampler does not support the schedule; "" stands for its
// own default. For names alone, before there is a model.
void check_sampler(const std::string& sampler, const std::string& schedule);

// Whether a registered sampler steps through timesteps (ddim, plms, …) rather than noise levels.
bool uses_timesteps(const std::string& sampler);

std::vector<NamedHelp> list_samplers();
std::vector<NamedHelp> list_schedules();
// The registered name for a name or alias ("DPM++ 2M Karras" → sampler "dpmpp_2m", schedule "karras"); throws
// Error(kUsage) that lists the known ones. `schedule` is set only if the alias contains one.
std::string resolve_sampler(const std::string& name, std::string* schedule);
// The registered name for a schedule's name or alias, or one of A1111's names, which depend on the sampler: "Uniform",
// so spelled, is `discrete` for samplers on noise levels, and "Automatic" what that sampler has there. Throws
// Error(kUsage) that lists the known ones.
std::string resolve_schedule(const std::string& name, const std::string& sampler);

// What A1111's web UI calls a registered sampler, and a registered schedule with that sampler: "DPM++ 2M", "Karras".
// Those that it does not have keep their names.
std::string web_name_of_sampler(const std::string& sampler);
std::string web_name_of_schedule(const std::string& schedule, const std::string& sampler);

}  // namespace sumi::diffusion
