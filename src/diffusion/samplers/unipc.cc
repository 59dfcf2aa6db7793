// UniPC of order 2, B₂(h) = e^h - 1, on the estimate of the signal (Zhao et al. 2023): each network call first corrects
// the point it was made at, then predicts the next. Written in σ, λ = -log σ.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

// The point that the last step started from, and the estimates so far.
struct History {
  Tensor start;          // x before the last prediction
  Tensor newest, older;  // estimates at σ_{i-1} and σ_{i-2}
  int order = 0;         // of the last prediction
};

double h_of(const Trajectory& path, size_t i) { return std::log(path.sigmas[i] / path.sigmas[i + 1]); }

// The step of order 1, which predictor and corrector share: x·σ'/σ + (1 - σ'/σ)·estimate.
Tensor base(const Trajectory& path, size_t i, const Tensor& x, const Tensor& estimate) {
  const double ratio = path.sigmas[i + 1] / path.sigmas[i];
  return affine(static_cast<float>(ratio), x, static_cast<float>(1.0 - ratio), estimate);
}

Tensor predict(const Trajectory& path, size_t i, const Tensor& x, const History& history, int order) {
  Tensor out = base(path, i, x, history.newest);
  if (order < 2) return out;
  const double h = h_of(path, i), r = -h_of(path, i - 1) / h;  // (λ_{i-1} - λ_i) / h
  const double b = std::expm1(-h);
  return affine(1.0f, out, static_cast<float>(-b * 0.5 / r), history.older - history.newest);
}

// Redoes the last step, from σ_{i-1} to σ_i, now that the estimate at its end is known.
Tensor correct(const Trajectory& path, size_t i, const History& history, const Tensor& estimate) {
  const double h = h_of(path, i - 1), b = std::expm1(-h), hh = -h;
  Tensor out = base(path, i - 1, history.start, history.newest);
  const Tensor ahead = estimate - history.newest;
  if (history.order < 2) return affine(1.0f, out, static_cast<float>(-b * 0.5), ahead);
  // Two conditions on the weights of the older and the new difference: Σ ρ r^(k-1) = k!·φ_{k+1}(hh)·hh / B, k = 1, 2.
  const double r = -h_of(path, i - 2) / h;
  const double phi_2 = b / hh - 1.0, phi_3 = phi_2 / hh - 0.5;
  const double b1 = phi_2 / b, b2 = 2.0 * phi_3 / b;
  const double older_weight = (b2 - b1) / (r - 1.0), new_weight = b1 - older_weight;
  out = affine(1.0f, out, static_cast<float>(-b * older_weight / r), history.older - history.newest);
  return affine(1.0f, out, static_cast<float>(-b * new_weight), ahead);
}

Tensor unipc(const Trajectory& path, Tensor x) {
  History history;
  for (int step = 0; step < path.steps(); ++step) {
    const size_t i = static_cast<size_t>(step);
    const Tensor estimate = path.denoised(x, step);
    if (step > 0) x = correct(path, i, history, estimate);
    history.older = history.newest;
    history.newest = estimate;
    history.start = x;
    history.order = std::min({2, path.steps() - step, step + 1});
    x = predict(path, i, x, history, history.order);
    path.report(step, x);
  }
  return x;
}

const Registration<Sampler> kUnipc(Sampler{
    .name = "unipc",
    .help = "UniPC of order 2 (Zhao et al. 2023)",
    .aliases = {"UniPC", "uni_pc"},
    .space = Space::kSigmas,
    .schedules = {"leading", "trailing", "linspace", "karras", "linspace_karras", "discrete", "exponential", "uniform"},
    .spacing = {.solver = true},
    .diffusers_sigmas = true,
    .run = unipc});

}  // namespace
}  // namespace sumi::diffusion
