#include "diffusion/sampling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/count.h"
#include "base/text_util.h"
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

// A name of A1111's that means another schedule for each sampler, as a registered one; other names as they are.
std::string schedule_for(const std::string& name, const Sampler& sampler) {
  if (lower(name) == "automatic") return sampler.automatic.empty() ? sampler.schedules.front() : sampler.automatic;
  if (name == "Uniform" && sampler.space == Space::kSigmas) return "discrete";
  return name;
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
  const Schedule& schedule = find_schedule(asked.empty() ? sampler.schedules.front() : schedule_for(asked, sampler));
  const bool fits =
      std::find(sampler.schedules.begin(), sampler.schedules.end(), schedule.name) != sampler.schedules.end();
  SUMI_CHECK_KIND(kUsage, fits, "the sampler {} cannot use the schedule {}; it can use {}", sampler.name, schedule.name,
                  fmt::join(sampler.schedules, ", "));
  SUMI_CHECK_KIND(kUsage, options.eta == 0.0 || sampler.takes_eta, "`eta` is for ddim; the sampler {} does not use it",
                  sampler.name);
  return {sampler, schedule};
}

Points points_in_sigmas(const Choice& choice, int steps, const SigmaTable& table, bool discard) {
  const auto& [sampler, schedule] = choice;
  Points points;
  if (discard) ++steps;
  if (schedule.timesteps) {
    points.timesteps = schedule.timesteps(table.timesteps(), steps, sampler.spacing);
    for (double t : points.timesteps) points.sigmas.push_back(table.at_linear(t));
  } else {
    points.sigmas = schedule.sigmas(table, steps);
    const bool whole = sampler.spacing.solver && (schedule.diffusers_sigmas || sampler.diffusers_sigmas);
    for (double sigma : points.sigmas) {
      const double t = table.timestep_of(sigma);
      points.timesteps.push_back(whole ? round_half_even(t) : t);
    }
  }
  if (discard) {
    points.sigmas.pop_back();
    points.timesteps.pop_back();
  }
  points.sigmas.push_back(0.0);
  return points;
}

Points points_in_timesteps(const Choice& choice, int steps, const NoiseSchedule& noise) {
  const auto& [sampler, schedule] = choice;
  const std::vector<double>& alphas = noise.alphas_cumprod;
  const int stride = noise.timesteps() / steps;
  const bool to_next = schedule.previous_is_next_entry || sampler.previous_is_next_entry;
  Points points;
  for (double t : schedule.timesteps(noise.timesteps(), steps, {})) points.timesteps.push_back(round_half_even(t));
  for (size_t i = 0; i < points.timesteps.size(); ++i) {
    const double t = points.timesteps[i];
    const bool last = i + 1 == points.timesteps.size();
    const double previous = to_next ? (last ? -1 : points.timesteps[i + 1]) : t - stride;
    points.alphas.push_back(alphas[static_cast<size_t>(t)]);
    points.previous_timesteps.push_back(previous);
    // After the last step the latent keeps the noise of the first timestep, as in all three reference implementations.
    points.previous_alphas.push_back(alphas[previous < 0 ? 0 : static_cast<size_t>(previous)]);
  }
  return points;
}

Points points_of(const Choice& choice, const SampleOptions& options, const NoiseSchedule& noise,
                 const SigmaTable& table) {
  const int steps = options.steps;
  if (choice.sampler.own_grid) return choice.sampler.own_grid(noise, steps);
  if (choice.sampler.space == Space::kSigmas) return points_in_sigmas(choice, steps, table, options.discard_last_level);
  return points_in_timesteps(choice, steps, noise);
}

void check_step(const Grid& grid, int step) {
  SUMI_CHECK_KIND(kUsage, step >= 0 && step < grid.steps(), "sampling has steps 0 to {}; it cannot begin at step {}",
                  grid.steps() - 1, step);
}

Trajectory begin_at(const Predictor& predictor, const Grid& grid, int first_step, const NoiseSource& source,
                    const SampleHooks& hooks) {
  check_step(grid, first_step);
  const auto rest = [&](const std::vector<double>& values) {
    return values.empty() ? std::span<const double>() : std::span(values).subspan(static_cast<size_t>(first_step));
  };
  const Points& points = grid.points();
  return {.predictor = predictor,
          .options = grid.options(),
          .schedule = grid.schedule(),
          .table = grid.sigma_table(),
          .noise_source = source,
          .hooks = hooks,
          .timesteps = rest(points.timesteps),
          .sigmas = rest(points.sigmas),
          .alphas = rest(points.alphas),
          .previous_alphas = rest(points.previous_alphas),
          .previous_timesteps = rest(points.previous_timesteps),
          .first_step = first_step,
          .all_steps = grid.steps()};
}

// The factor that scales the start of a sampler on noise levels to the first level.
double initial_scale(const Trajectory& path, const Sampler& sampler, const Start& start) {
  const Level level = Level::at_sigma(path.sigmas.front());
  const bool solver_of_diffusers =
      sampler.spacing.solver && (path.schedule.timesteps || path.schedule.diffusers_sigmas || sampler.diffusers_sigmas);
  const bool unit_variance =
      path.schedule.unit_variance_start || solver_of_diffusers || start.mixed || start.first_step > 0;
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

bool uses_timesteps(const std::string& sampler) {
  const Sampler* found = Registry<Sampler>::instance().find(sampler);
  return found != nullptr && found->space == Space::kTimesteps;
}

std::string resolve_sampler(const std::string& name, std::string* schedule) {
  if (const Sampler* sampler = find_entry<Sampler>(name)) return sampler->name;
  // "DPM++ 2M Karras", "Euler a SGM Uniform": the longest beginning that is a sampler.
  for (size_t space = name.rfind(' '); space != std::string::npos && space > 0; space = name.rfind(' ', space - 1)) {
    const Sampler* sampler = find_entry<Sampler>(name.substr(0, space));
    if (sampler == nullptr) continue;
    const Schedule* named = find_entry<Schedule>(schedule_for(name.substr(space + 1), *sampler));
    if (named == nullptr) break;
    if (schedule) *schedule = named->name;
    return sampler->name;
  }
  fail(ErrorKind::kUsage, "unknown sampler \"{}\"; choose from {}", shorten(name, 100), names<Sampler>());
}

std::string resolve_schedule(const std::string& name, const std::string& sampler) {
  return find_schedule(schedule_for(name, *Registry<Sampler>::instance().find(sampler))).name;
}

std::string web_name_of_sampler(const std::string& name) {
  const Sampler* sampler = find_entry<Sampler>(name);
  const bool named = sampler != nullptr && !sampler->aliases.empty() && std::isupper(sampler->aliases.front()[0]) != 0;
  return named ? sampler->aliases.front() : name;
}

std::string web_name_of_schedule(const std::string& schedule, const std::string& name) {
  const Sampler* sampler = find_entry<Sampler>(name);
  const bool levels = sampler != nullptr && sampler->space == Space::kSigmas;
  if (schedule == "karras") return "Karras";
  if (schedule == "exponential") return "Exponential";
  if (schedule == "discrete") return "Uniform";
  if (schedule == "uniform") return levels ? "DDIM" : "Uniform";
  return schedule;
}

void check_sampler(const std::string& sampler, const std::string& schedule) {
  choose({.sampler = sampler, .schedule = schedule});
}

const std::string& Grid::sampler_name() const { return sampler_->name; }
const std::string& Grid::schedule_name() const { return schedule_->name; }

void Grid::leave_out(int step) {
  for (std::vector<double>* values :
       {&points_.timesteps, &points_.sigmas, &points_.alphas, &points_.previous_alphas, &points_.previous_timesteps}) {
    if (!values->empty()) values->erase(values->begin() + step);
  }
}

Grid make_grid(const NoiseSchedule& noise, const SampleOptions& options) {
  count("grid");
  const Choice choice = choose(options);
  SigmaTable table(noise);
  Points points = points_of(choice, options, noise, table);
  return {choice.sampler, choice.schedule, options, std::move(table), std::move(points)};
}

Level level_of_step(const Grid& grid, int step) {
  check_step(grid, step);
  const auto i = static_cast<size_t>(step);
  if (grid.sampler().space == Space::kTimesteps) return Level::at_alpha(grid.points().alphas[i]);
  const double sigma = grid.points().sigmas[i];
  return Level::at_alpha(1.0 / (1.0 + sigma * sigma));
}

Tensor sample(const Predictor& predictor, const Start& start, const Grid& grid, const NoiseSource& noise,
              const SampleHooks& hooks) {
  const Sampler& sampler = grid.sampler();
  const Trajectory path = begin_at(predictor, grid, start.first_step, noise, hooks);
  Tensor x;
  if (sampler.space == Space::kTimesteps) {
    x = sampler.run(path, path.rewritten(start.x, 0));
  } else {
    const Tensor scaled = start.x * static_cast<float>(initial_scale(path, sampler, start));
    x = sampler.run(path, path.rewritten(scaled, 0));
    const double rest = path.sigmas.back();  // 0 except for dpm_solver
    if (rest != 0.0) x = x * static_cast<float>(1.0 / std::sqrt(1.0 + rest * rest));
  }
  return hooks.constrain ? hooks.constrain(x, 0.0) : x;
}

}  // namespace sumi::diffusion
