// Activation functions and their slopes, as they are defined, in double.
#pragma once

#include <algorithm>
#include <cmath>

#include "ops/activation.h"

namespace sumi::backend::ref {

inline double act(double x, Act kind) {
  switch (kind) {
    case Act::kNone: return x;
    case Act::kSilu: return x / (1.0 + std::exp(-x));
    case Act::kGelu: return 0.5 * x * (1.0 + std::erf(x * M_SQRT1_2));
    case Act::kQuickGelu: return x / (1.0 + std::exp(-1.702 * x));
    case Act::kRelu: return std::max(x, 0.0);
    case Act::kLeakyRelu: return std::max(x, 0.2 * x);
    case Act::kTanh: return std::tanh(x);
  }
  return x;
}

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double normal_cdf(double x) { return 0.5 * (1.0 + std::erf(x * M_SQRT1_2)); }

// The derivative of act().
inline double slope(double x, Act kind) {
  const double s = sigmoid(kind == Act::kQuickGelu ? 1.702 * x : x);
  switch (kind) {
    case Act::kNone: return 1.0;
    case Act::kSilu: return s + x * s * (1.0 - s);
    case Act::kGelu: return normal_cdf(x) + x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI);
    case Act::kQuickGelu: return s + 1.702 * x * s * (1.0 - s);
    case Act::kRelu: return x > 0.0 ? 1.0 : 0.0;
    case Act::kLeakyRelu: return x > 0.0 ? 1.0 : 0.2;
    case Act::kTanh: return 1.0 - std::tanh(x) * std::tanh(x);
  }
  return 1.0;
}

}  // namespace sumi::backend::ref
