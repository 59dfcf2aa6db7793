#include "diffusion/process.h"

#include <cmath>

#include "ops/elementwise.h"

namespace sumi::diffusion {
namespace {

constexpr Prediction kPredictions[] = {Prediction::kEpsilon, Prediction::kVelocity, Prediction::kSample};

// a·x + b·y with coefficients in double.
Tensor blend(double a, const Tensor& x, double b, const Tensor& y) {
  return affine(static_cast<float>(a), x, static_cast<float>(b), y);
}

}  // namespace

const char* name_of(Prediction prediction) {
  switch (prediction) {
    case Prediction::kEpsilon: return "eps";
    case Prediction::kVelocity: return "v";
    case Prediction::kSample: return "x0";
  }
  return "";
}

std::optional<Prediction> prediction_of(std::string_view name) {
  for (const Prediction prediction : kPredictions) {
    if (name == name_of(prediction)) return prediction;
  }
  return std::nullopt;
}

Level Level::at_alpha(double alpha_cumprod) {
  return {.signal = std::sqrt(alpha_cumprod), .noise = std::sqrt(1.0 - alpha_cumprod), .norm = 1.0};
}

Level Level::at_sigma(double sigma) { return {.signal = 1.0, .noise = sigma, .norm = std::sqrt(1.0 + sigma * sigma)}; }

Tensor mix(const Tensor& signal, const Tensor& noise, const Level& level) {
  return blend(level.signal, signal, level.noise, noise);
}

Tensor signal_of(Prediction prediction, const Tensor& x, const Tensor& output, const Level& level) {
  const double scale = 1.0 / level.norm;
  switch (prediction) {
    case Prediction::kEpsilon: return blend(1.0 / level.signal, x, -level.noise / level.signal, output);
    case Prediction::kVelocity: return blend(level.signal * (scale * scale), x, -level.noise * scale, output);
    case Prediction::kSample: return output;
  }
  return output;
}

Tensor noise_of(Prediction prediction, const Tensor& x, const Tensor& output, const Level& level) {
  const double scale = 1.0 / level.norm;
  switch (prediction) {
    case Prediction::kEpsilon: return output;
    case Prediction::kVelocity: return blend(level.signal * scale, output, level.noise * (scale * scale), x);
    case Prediction::kSample: return noise_from_signal(x, output, level);
  }
  return output;
}

Tensor noise_from_signal(const Tensor& x, const Tensor& signal, const Level& level) {
  return blend(1.0 / level.noise, x, -level.signal / level.noise, signal);
}

Tensor target_of(Prediction prediction, const Tensor& signal, const Tensor& noise, const Level& level) {
  switch (prediction) {
    case Prediction::kEpsilon: return noise;
    case Prediction::kVelocity: return blend(level.signal, noise, -level.noise, signal);
    case Prediction::kSample: return signal;
  }
  return noise;
}

}  // namespace sumi::diffusion
