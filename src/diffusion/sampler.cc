#include "diffusion/sampler.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"

namespace sumi::diffusion {

Tensor Run::denoised(const Tensor& x, double sigma, double timestep) const {
  const double scale = 1.0 / std::sqrt(1.0 + sigma * sigma);
  const Tensor output = model(x * static_cast<float>(scale), timestep);
  if (options.prediction == Prediction::kEpsilon) return affine(1.0f, x, static_cast<float>(-sigma), output);
  return affine(static_cast<float>(scale * scale), x, static_cast<float>(-sigma * scale), output);
}

Tensor Run::epsilon(const Tensor& x, double timestep, double alpha) const {
  Tensor output = model(x, timestep);
  if (options.prediction == Prediction::kEpsilon) return output;
  return affine(static_cast<float>(std::sqrt(alpha)), output, static_cast<float>(std::sqrt(1.0 - alpha)), x);
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
