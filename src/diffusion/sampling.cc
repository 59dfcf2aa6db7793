#include "diffusion/sampling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The entry whose name or alias that is, whatever its case; nullptr where there is none.
template <class T> const T* find_entry(const std::string& name) {
  const std::string wanted = lower(name);
  for (const T& entry : Registry<T>::instance().entries()) {
    if (entry.name == wanted) return &entry;
    for (const std::string& alias : entry.aliases) {
      if (lower(alias) == wanted) return &entry;
    }
  }
  return nullptr;
}

template <class T> std::string names() {
  std::vector<std::string> out;
  for (const T& entry : Registry<T>::instance().entries()) out.push_back(entry.name);
  return fmt::format("{}", fmt::join(out, ", "));
}

template <class T> std::vector<NamedHelp> help_of() {
  std::vector<NamedHelp> out;
  for (const T& entry : Registry<T>::instance().entries()) out.push_back({entry.name, entry.help, entry.aliases});
  return out;
}

// The sampler and the schedule of a job; refuses what does not go together.
struct Choice {
  const Sampler& sampler;
  const Schedule& schedule;
};

Choice choose(const SampleOptions& options) {
  SUMI_CHECK_KIND(kUsage, options.steps >= 1 && options.steps <= 10000,
                  "the number of steps must be 1 to 10000, not {}", options.steps);
  SUMI_CHECK_KIND(kUsage, std::isfinite(options.eta) && options.eta >= 0.0 && options.eta <= 1.0,
                  "eta must be between 0 and 1, not {}", options.eta);
  std::string from_alias;
  const Sampler& sampler = *Registry<Sampler>::instance().find(resolve_sampler(options.sampler, &from_alias));
  const std::string asked = !options.schedule.empty() ? options.schedule : from_alias;
  const Schedule& schedule = find_schedule(asked.empty() ? sampler.schedules.front() : asked);
  const bool fits =
      std::find(sampler.schedules.begin(), sampler.schedules.end(), schedule.name) != sampler.schedules.end();
  SUMI_CHECK_KIND(kUsage, fits, "the sampler {} does not go with the schedule {}; it takes {}", sampler.name,
                  schedule.name, fmt::join(sampler.schedules, ", "));
  SUMI_CHECK_KIND(kUsage, options.eta == 0.0 || sampler.takes_eta, "eta is for ddim; the sampler {} has none",
                  sampler.name);
  return {sampler, schedule};
}

void fill_sigmas(Run& run, const Sampler& sampler) {
  const Schedule& schedule = run.schedule;
  if (schedule.timesteps) {
    run.timesteps = schedule.timesteps(run.noise.timesteps(), run.options.steps, sampler.spacing);
    for (double t : run.timesteps) run.sigmas.push_back(run.table.at_linear(t));
  } else {
    run.sigmas = schedule.sigmas(run.table, run.options.steps);
    const bool whole = sampler.spacing.solver && (schedule.diffusers_sigmas || sampler.diffusers_sigmas);
    for (double sigma : run.sigmas) {
      const double t = run.table.timestep_of(sigma);
      run.timesteps.push_back(whole ? round_half_even(t) : t);
    }
  }
  run.sigmas.push_back(0.0);
}

void fill_timesteps(Run& run, const Sampler& sampler) {
  const std::vector<double>& alphas = run.noise.alphas_cumprod;
  for (double t : run.schedule.timesteps(run.noise.timesteps(), run.options.steps, {}))
    run.timesteps.push_back(round_half_even(t));
  const int stride = run.noise.timesteps() / run.options.steps;
  for (size_t i = 0; i < run.timesteps.size(); ++i) {
    const bool last = i + 1 == run.timesteps.size();
    const bool to_next = run.schedule.previous_is_next_entry || sampler.previous_is_next_entry;
    const double previous = to_next ? (last ? -1 : run.timesteps[i + 1]) : run.timesteps[i] - stride;
    run.alphas.push_back(alphas[static_cast<size_t>(run.timesteps[i])]);
    run.previous_timesteps.push_back(previous);
    // After the last step the latent keeps the noise of the first timestep, as all three implementations have it.
    run.previous_alphas.push_back(alphas[previous < 0 ? 0 : static_cast<size_t>(previous)]);
  }
}

Run make_run(const Model& model, const NoiseSchedule& noise, const SampleOptions& options, const Choice& choice,
             const NoiseSource& source, const StepCallback& on_step) {
  Run run{.model = model,
          .noise = noise,
          .options = options,
          .schedule = choice.schedule,
          .noise_source = source,
          .on_step = on_step,
          .table = SigmaTable(noise)};
  if (choice.sampler.own_grid) {
    choice.sampler.own_grid(run);
  } else if (choice.sampler.space == Space::kSigmas) {
    fill_sigmas(run, choice.sampler);
  } else {
    fill_timesteps(run, choice.sampler);
  }
  return run;
}

// What x_T, of unit variance, is multiplied with to stand at the first noise level.
double initial_scale(const Run& run, const Sampler& sampler) {
  const double sigma = run.sigmas.front();
  const bool solver_of_diffusers =
      sampler.spacing.solver && (run.schedule.timesteps || run.schedule.diffusers_sigmas || sampler.diffusers_sigmas);
  const bool unit_variance = run.schedule.unit_variance_start || solver_of_diffusers;
  return unit_variance ? std::sqrt(1.0 + sigma * sigma) : sigma;
}

}  // namespace

const Schedule& find_schedule(const std::string& name) {
  const Schedule* schedule = find_entry<Schedule>(name);
  SUMI_CHECK_KIND(kUsage, schedule != nullptr, "there is no schedule \"{}\"; there are {}", name, names<Schedule>());
  return *schedule;
}

std::vector<NamedHelp> list_samplers() { return help_of<Sampler>(); }
std::vector<NamedHelp> list_schedules() { return help_of<Schedule>(); }

std::string schedule_of(const SampleOptions& options) { return choose(options).schedule.name; }

std::string resolve_sampler(const std::string& name, std::string* schedule) {
  if (const Sampler* sampler = find_entry<Sampler>(name)) return sampler->name;
  const size_t space = name.rfind(' ');
  if (space != std::string::npos) {  // "DPM++ 2M Karras"
    const Sampler* sampler = find_entry<Sampler>(name.substr(0, space));
    const Schedule* named = find_entry<Schedule>(name.substr(space + 1));
    if (sampler && named) {
      if (schedule) *schedule = named->name;
      return sampler->name;
    }
  }
  fail(ErrorKind::kUsage, "there is no sampler \"{}\"; there are {}", name, names<Sampler>());
}

void check_sample_options(const SampleOptions& options, const NoiseSchedule& noise) {
  sampling_timesteps(noise, options);
}

std::vector<double> sampling_timesteps(const NoiseSchedule& noise, const SampleOptions& options) {
  return make_run({}, noise, options, choose(options), {}, {}).timesteps;
}

Tensor sample(const Model& model, const Tensor& x_T, const NoiseSchedule& noise, const SampleOptions& options,
              const NoiseSource& source, const StepCallback& on_step) {
  const Choice choice = choose(options);
  const Run run = make_run(model, noise, options, choice, source, on_step);
  if (choice.sampler.space == Space::kTimesteps) return choice.sampler.run(run, x_T);
  const Tensor x = choice.sampler.run(run, x_T * static_cast<float>(initial_scale(run, choice.sampler)));
  const double rest = run.sigmas.back();  // 0 but for dpm_solver
  return rest == 0.0 ? x : x * static_cast<float>(1.0 / std::sqrt(1.0 + rest * rest));
}

}  // namespace sumi::diffusion
