#include "diffusion/sampler.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"

namespace sumi::diffusion {

Tensor Trajectory::constrained(const Tensor& signal, const Level& level) const {
  const Tensor held = hooks.constrain ? hooks.constrain(signal, level.noise / level.signal) : signal;
  SUMI_CHECK_KIND(kInternal, held.defined() && held.shape() == signal.shape(),
                  "the signal constraint changed the shape {} to {}", signal.shape().str(), held.shape().str());
  if (hooks.on_step) last_call = {.signal = held};
  return held;
}

Tensor Trajectory::rewritten(const Tensor& latent, int step) const {
  if (!hooks.rewrite) return latent;
  const auto i = static_cast<size_t>(step);
  const Level level = sigmas.empty() ? Level::at_alpha(alphas[i]) : Level::at_sigma(sigmas[i]);
  Tensor x = hooks.rewrite(latent, level, first_step + step);
  SUMI_CHECK_KIND(kInternal, x.defined() && x.shape() == latent.shape(), "a step's latent changed the shape {} to {}",
                  latent.shape().str(), x.shape().str());
  return x;
}

Tensor Trajectory::denoised(const Tensor& x, double sigma, double timestep) const {
  const Level level = Level::at_sigma(sigma);
  const Tensor output = predictor(x * static_cast<float>(1.0 / level.norm), timestep);
  return constrained(signal_of(options.prediction, x, output, level), level);
}

Tensor Trajectory::epsilon(const Tensor& x, double timestep, double alpha) const {
  const Level level = Level::at_alpha(alpha);
  const Tensor output = predictor(x, timestep);
  if (hooks.constrain)
    return noise_from_signal(x, constrained(signal_of(options.prediction, x, output, level), level), level);
  if (hooks.on_step) last_call = {.x = x, .output = output, .level = level};
  return noise_of(options.prediction, x, output, level);
}

Tensor Trajectory::last_signal() const {
  Call& call = last_call;
  if (!call.signal) call.signal = signal_of(options.prediction, call.x, call.output, call.level);
  return call.signal;
}

AncestralStep ancestral_step(double from, double to) {
  const double up = std::min(to, std::sqrt(to * to * (from * from - to * to) / (from * from)));
  return {std::sqrt(std::max(0.0, to * to - up * up)), up};
}

double round_half_even(double value) {
  const double low = std::floor(value), rest = value - low;
  if (rest != 0.5) return std::floor(value + 0.5);
  return std::fmod(low, 2.0) == 0.0 ? low : low + 1.0;
}

}  // namespace sumi::diffusion
