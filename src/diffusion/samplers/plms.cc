// PLMS (Liu et al. 2022, "PNDM"): linear multistep of order 4 on the noise estimate, begun by a pseudo improved Euler
// step of two network calls. The original draws noise in every update, twice in the first step, and uses none of it.
#include <algorithm>
#include <cmath>
#include <deque>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

// DDIM's step with eta 0.
Tensor step(const Trajectory& path, size_t i, const Tensor& x, const Tensor& eps) {
  const double alpha = path.alphas[i], previous = path.previous_alphas[i];
  if (path.schedule.previous_is_next_entry) path.fresh_noise(x);
  return affine(static_cast<float>(std::sqrt(previous / alpha)), x,
                static_cast<float>(std::sqrt(1.0 - previous) - std::sqrt(previous * (1.0 - alpha) / alpha)), eps);
}

// Adams-Bashforth of order 2, 3 or 4 from the newest estimate and the older ones, newest first.
Tensor combine(const Tensor& eps, const std::deque<Tensor>& older) {
  switch (older.size()) {
    case 1: return affine(3.0f / 2, eps, -1.0f / 2, older[0]);
    case 2: return affine(1.0f, affine(23.0f / 12, eps, -16.0f / 12, older[0]), 5.0f / 12, older[1]);
    default: return affine(55.0f / 24, eps, -59.0f / 24, older[0]) + affine(37.0f / 24, older[1], -9.0f / 24, older[2]);
  }
}

Tensor plms(const Trajectory& path, Tensor x) {
  std::deque<Tensor> older;
  for (size_t i = 0; i < path.timesteps.size(); ++i) {
    const Tensor eps = path.epsilon(x, path.timesteps[i], path.alphas[i]);
    Tensor blend;
    if (older.empty()) {
      const bool last = i + 1 == path.timesteps.size();
      const double next = last ? path.timesteps[i] : path.previous_timesteps[i];
      const Tensor ahead = path.epsilon(step(path, i, x, eps), next, last ? path.alphas[i] : path.previous_alphas[i]);
      blend = affine(0.5f, eps, 0.5f, ahead);
    } else {
      blend = combine(eps, older);
    }
    x = step(path, i, x, blend);
    older.push_front(eps);
    if (older.size() > 3) older.pop_back();
    path.report(static_cast<int>(i), x);
  }
  return x;
}

const Registration<Sampler> kPlms(Sampler{.name = "plms",
                                          .help = "PLMS (Liu et al. 2022), as in the original's script",
                                          .aliases = {"PLMS", "PNDM"},
                                          .space = Space::kTimesteps,
                                          .schedules = {"uniform", "leading"},
                                          .run = plms});

}  // namespace
}  // namespace sumi::diffusion
