// Reference kernels: group and layer normalisation, statistics in double.
#include <cmath>

#include "ops/norm.h"

namespace sumi::backend::ref {
namespace {

void group_norm(const GroupNormArgs& a) {
  const int64_t width = a.channels / a.groups;
  for (int64_t n = 0; n < a.batch; ++n) {
    for (int64_t g = 0; g < a.groups; ++g) {
      const int64_t base = n * a.pixels * a.channels + g * width;
      double sum = 0.0, squares = 0.0;
      for (int64_t p = 0; p < a.pixels; ++p) {
        for (int64_t c = 0; c < width; ++c) sum += a.x[base + p * a.channels + c];
      }
      const double count = static_cast<double>(a.pixels * width);
      double mean = sum / count;
      for (int64_t p = 0; p < a.pixels; ++p) {
        for (int64_t c = 0; c < width; ++c) squares += std::pow(a.x[base + p * a.channels + c] - mean, 2);
      }
      double variance = squares / count;
      if (a.statistics != nullptr) {
        mean = a.statistics[2 * (n * a.groups + g)];
        variance = a.statistics[2 * (n * a.groups + g) + 1];
      }
      const double scale = 1.0 / std::sqrt(variance + a.eps);
      for (int64_t p = 0; p < a.pixels; ++p) {
        for (int64_t c = 0; c < width; ++c) {
          const int64_t at = base + p * a.channels + c, channel = g * width + c;
          const double y = (a.x[at] - mean) * scale * a.gain[channel] + a.bias[channel];
          a.out[at] = static_cast<float>(a.act == Act::kSilu ? y / (1.0 + std::exp(-y)) : y);
        }
      }
    }
  }
}

void layer_norm(const float* x, const float* gain, const float* bias, float* out, int64_t rows, int64_t channels,
                double eps) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * channels;
    double sum = 0.0, squares = 0.0;
    for (int64_t c = 0; c < channels; ++c) sum += from[c];
    const double mean = sum / static_cast<double>(channels);
    for (int64_t c = 0; c < channels; ++c) squares += (from[c] - mean) * (from[c] - mean);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(channels) + eps);
    for (int64_t c = 0; c < channels; ++c) {
      out[row * channels + c] = static_cast<float>((from[c] - mean) * scale * gain[c] + bias[c]);
    }
  }
}

const KernelRegistration kGroupNorm(group_norm_slot, Device::kRef, group_norm);
const KernelRegistration kLayerNorm(layer_norm_slot, Device::kRef, layer_norm);

}  // namespace
}  // namespace sumi::backend::ref
