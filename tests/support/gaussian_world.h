// A world in which every value of a clean latent is drawn from N(kMean, kDeviation²): the best network and the whole
// trajectory are known in closed form. The reference for the samplers' tests.
#pragma once

#include <cmath>

#include "diffusion/sigma_table.h"
#include "ops/elementwise.h"
#include "tests/support/diffusion_fixture.h"

namespace sumi::diffusion {

inline constexpr double kMean = 0.6, kDeviation = 0.8;

// The standard deviation of x = x_0 + σ·e.
inline double variance_at(double sigma) { return kDeviation * kDeviation + sigma * sigma; }

// The perfect network: E[e | x] for x = √ᾱ x_0 + √(1-ᾱ) e, or the equivalent velocity or signal.
inline Predictor gaussian(Prediction prediction = Prediction::kEpsilon) {
  return [prediction, table = SigmaTable(original_noise())](const Tensor& x, double t) {
    const double sigma = table.at(t), alpha = 1.0 / std::hypot(1.0, sigma), noise = sigma * alpha;
    const double variance = alpha * alpha * kDeviation * kDeviation + noise * noise;
    const double slope = noise / variance;  // e = slope·(x - alpha·mean)
    const auto line = [&](double a, double c) {
      return affine(static_cast<float>(a), x, 0.0f, {}, static_cast<float>(c));
    };
    switch (prediction) {
      case Prediction::kEpsilon: return line(slope, -slope * alpha * kMean);
      // v = alpha·e - noise·x_0 with x_0 = (x - noise·e) / alpha, so v = (e - noise·x) / alpha.
      case Prediction::kVelocity: return line((slope - noise) / alpha, -slope * kMean);
      // x_0 = mean + alpha·deviation²/variance·(x - alpha·mean)
      case Prediction::kSample: break;
    }
    const double gain = alpha * kDeviation * kDeviation / variance;
    return line(gain, kMean * (1.0 - gain * alpha));
  };
}

// The probability flow carries x = x_0 + σe along a line: the distance from the mean goes with the deviation.
inline double flow(double x, double from, double to) {
  return kMean + (x - kMean) * std::sqrt(variance_at(to) / variance_at(from));
}

// The perfect network's estimate of x_0 for x = x_0 + σe.
inline double denoised(double x, double sigma) {
  return kMean + (x - kMean) * kDeviation * kDeviation / variance_at(sigma);
}

}  // namespace sumi::diffusion
