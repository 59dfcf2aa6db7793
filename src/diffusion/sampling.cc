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

// The entry with that name or alias, ignoring case; nullptr if there is none.
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

// The sampler and the schedule of a job; throws if they do not fit together.
struct Choice {
  const Sampler& sampler;
  const Schedule& schedule;
};

Choice choose(const SampleOptions& options) {
  SUMI_CHECK_KIND(kUsage, options.steps >= 1 && options.steps <= 10000, "`steps` must be from 1 to 10000, not {}",
                  options.steps);
  SUMI_CHECK_KIND(kUsage, std::isfinite(options.eta) && options.eta >= 0.0 && options.eta <= 1.0,
                  "`eta` must be from 0 to 1, not {}", options.eta);
  std::string from_alias;
  const Sampler& sampler = *Registry<Sampler>::instance().find(resolve_sampler(options.sampler, &from_alias));
  const std::string asked = !options.schedule.empty() ? options.schedule : from_alias;
  const Schedule& schedule = find_schedule(asked.empty() ? sampler.schedules.front() : asked);
  const bool fits =
      std::find(sampler.schedules.begin(), sampler.schedules.end(), schedule.name) != sampler.schedules.end();
  SUMI_CHECK_KIND(kUsage, fits, "the sampler {} cannot use the schedule {}; it can use {}", sampler.name, schedule.name,
                  fmt::join(sampler.schedules, ", "));
  SUMI_CHECK_KIND(kUsage, options.eta == 0.0 || sampler.takes_eta, "`eta` is for ddim; the sampler {} does not use it",
                  sampler.name);
  return {sampler, schedule};
}

void fill_sigmas(Trajectory& path, const Sampler& sampler) {
  const Schedule& schedule = path.schedule;
  if (schedule.timesteps) {
    path.timesteps = schedule.timesteps(path.noise.timesteps(), path.options.steps, sampler.spacing);
    for (double t : path.timesteps) path.sigmas.push_back(path.table.at_linear(t));
  } else {
    path.sigmas = schedule.sigmas(path.table, path.options.steps);
    const bool whole = sampler.spacing.solver && (schedule.diffusers_sigmas || sampler.diffusers_sigmas);
    for (double sigma : path.sigmas) {
      const double t = path.table.timestep_of(sigma);
      path.timesteps.push_back(whole ? round_half_even(t) : t);
    }
  }
  path.sigmas.push_back(0.0);
}

void fill_timesteps(Trajectory& path, const Sampler& sampler) {
  const std::vector<double>& alphas = path.noise.alphas_cumprod;
  for (double t : path.schedule.timesteps(path.noise.timesteps(), path.options.steps, {}))
    path.timesteps.push_back(round_half_even(t));
  const int stride = path.noise.timesteps() / path.options.steps;
  for (size_t i = 0; i < path.timesteps.size(); ++i) {
    const bool last = i + 1 == path.timesteps.size();
    const bool to_next = path.schedule.previous_is_next_entry || sampler.previous_is_next_entry;
    const double previous = to_next ? (last ? -1 : path.timesteps[i + 1]) : path.timesteps[i] - stride;
    path.alphas.push_back(alphas[static_cast<size_t>(path.timesteps[i])]);
    path.previous_timesteps.push_back(previous);
    // After the last step the latent keeps the noise of the first timestep, as in all three reference implementations.
    path.previous_alphas.push_back(alphas[previous < 0 ? 0 : static_cast<size_t>(previous)]);
  }
}

// The whole grid.
void fill_grid(Trajectory& path, const Sampler& sampler) {
  if (sampler.own_grid) {
    sampler.own_grid(path);
  } else if (sampler.space == Space::kSigmas) {
    fill_sigmas(path, sampler);
  } else {
    fill_timesteps(path, sampler);
  }
}

// Drops the grid's first entries.
void begin_at(Trajectory& path, int first_step) {
  SUMI_CHECK_KIND(kUsage, first_step >= 0 && first_step < path.steps(),
                  "sampling has steps 0 to {}; it cannot begin at step {}", path.steps() - 1, first_step);
  path.first_step = first_step;
  path.all_steps = path.steps();
  for (std::vector<double>* values :
       {&path.timesteps, &path.sigmas, &path.alphas, &path.previous_alphas, &path.previous_timesteps}) {
    if (!values->empty()) values->erase(values->begin(), values->begin() + first_step);
  }
}

Trajectory make_path(const Predictor& predictor, const NoiseSchedule& noise, const SampleOptions& options,
                     const Choice& choice, const NoiseSource& source, const SampleHooks& hooks, int first_step) {
  Trajectory path{.predictor = predictor,
                  .noise = noise,
                  .options = options,
                  .schedule = choice.schedule,
                  .noise_source = source,
                  .hooks = hooks,
                  .table = SigmaTable(noise)};
  fill_grid(path, choice.sampler);
  begin_at(path, first_step);
  return path;
}

// The factor that scales the start of a sampler on noise levels to the first level.
double initial_scale(const Trajectory& path, const Sampler& sampler) {
  const Level level = Level::at_sigma(path.sigmas.front());
  const bool solver_of_diffusers =
      sampler.spacing.solver && (path.schedule.timesteps || path.schedule.diffusers_sigmas || sampler.diffusers_sigmas);
  const bool unit_variance = path.schedule.unit_variance_start || solver_of_diffusers || path.first_step > 0;
  return unit_variance ? level.norm : level.noise;
}

}  // namespace

const Schedule& find_schedule(const std::string& name) {
  const Schedule* schedule = find_entry<Schedule>(name);
  SUMI_CHECK_KIND(kUsage, schedule != nullptr, "unknown schedule \"{}\"; choose from {}", name, names<Schedule>());
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
  fail(ErrorKind::kUsage, "unknown sampler \"{}\"; choose from {}", name, names<Sampler>());
}

void check_sample_options(const SampleOptions& options, const NoiseSchedule& noise) {
  sampling_timesteps(noise, options);
}

std::vector<double> sampling_timesteps(const NoiseSchedule& noise, const SampleOptions& options) {
  return make_path({}, noise, options, choose(options), {}, {}, 0).timesteps;
}

Level level_of_step(const NoiseSchedule& noise, const SampleOptions& options, int step) {
  const Choice choice = choose(options);
  const Predictor predictor;
  const NoiseSource source;
  const SampleHooks hooks;
  const Trajectory path = make_path(predictor, noise, options, choice, source, hooks, step);
  if (choice.sampler.space == Space::kTimesteps) return Level::at_alpha(path.alphas.front());
  const double sigma = path.sigmas.front();
  return Level::at_alpha(1.0 / (1.0 + sigma * sigma));
}

Tensor sample(const Predictor& predictor, const Start& start, const NoiseSchedule& noise, const SampleOptions& options,
              const NoiseSource& source, const SampleHooks& hooks) {
  const Choice choice = choose(options);
  const Trajectory path = make_path(predictor, noise, options, choice, source, hooks, start.first_step);
  Tensor x;
  if (choice.sampler.space == Space::kTimesteps) {
    x = choice.sampler.run(path, start.x);
  } else {
    x = choice.sampler.run(path, start.x * static_cast<float>(initial_scale(path, choice.sampler)));
    const double rest = path.sigmas.back();  // 0 except for dpm_solver
    if (rest != 0.0) x = x * static_cast<float>(1.0 / std::sqrt(1.0 + rest * rest));
  }
  return hooks.constrain ? hooks.constrain(x, 0.0) : x;
}

}  // namespace sumi::diffusion
