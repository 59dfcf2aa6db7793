// Linear multistep of order 4 on the slope: each past slope is weighted by the integral of its Lagrange polynomial over
// the step.
#include <algorithm>
#include <deque>
#include <span>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

constexpr size_t kOrder = 4;

// ∫ from σ_i to σ_{i+1} of the polynomial that is 1 at σ_{i-j} and 0 at the other `order` - 1 nodes σ_i, σ_{i-1}, …
// The integrand has degree below 4, where two-point Gauss-Legendre is exact.
double weight(std::span<const double> sigmas, size_t i, size_t j, size_t order) {
  constexpr double kNode = 0.57735026918962576;
  const double middle = 0.5 * (sigmas[i] + sigmas[i + 1]), half = 0.5 * (sigmas[i + 1] - sigmas[i]);
  double total = 0.0;
  for (double node : {middle - half * kNode, middle + half * kNode}) {
    double product = 1.0;
    for (size_t k = 0; k < order; ++k) {
      if (k != j) product *= (node - sigmas[i - k]) / (sigmas[i - j] - sigmas[i - k]);
    }
    total += product;
  }
  return total * half;
}

Tensor lms(const Trajectory& path, Tensor x) {
  std::deque<Tensor> slopes;  // newest first
  for (int i = 0; i < path.steps(); ++i) {
    const double sigma = path.sigmas[static_cast<size_t>(i)];
    slopes.push_front(
        affine(static_cast<float>(1.0 / sigma), x, static_cast<float>(-1.0 / sigma), path.denoised(x, i)));
    if (slopes.size() > kOrder) slopes.pop_back();
    for (size_t j = 0; j < slopes.size(); ++j) {
      x = affine(1.0f, x, static_cast<float>(weight(path.sigmas, static_cast<size_t>(i), j, slopes.size())), slopes[j]);
    }
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kLms(Sampler{.name = "lms",
                                         .help = "linear multistep of order 4",
                                         .aliases = {"LMS"},
                                         .space = Space::kSigmas,
                                         .schedules = kSigmaSchedules,
                                         .run = lms});

}  // namespace
}  // namespace sumi::diffusion
