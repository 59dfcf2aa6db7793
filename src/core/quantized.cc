#include "core/quantized.h"

#include <algorithm>
#include <cmath>

namespace sumi {
namespace {

constexpr float kLargestHalf = 65504.0f;

// The first of the finite values of the largest magnitude; 0 where none is finite.
float extreme_of(const float* values) {
  float extreme = 0.0f;
  for (int i = 0; i < kQuantBlock; ++i) {
    if (std::isfinite(values[i]) && std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
  }
  return extreme;
}

// Converting NaN to an integer is undefined. NaN comes from a NaN, from an infinity times an inverse of 0, or from 0
// times an infinite inverse (of a scale below 2^-128).
float number_or(float value, float otherwise) { return std::isnan(value) ? otherwise : value; }

}  // namespace

BlockQ8 quantize_q8(const float* values) {
  const float scale = std::min(std::fabs(extreme_of(values)) / 127.0f, kLargestHalf);
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  BlockQ8 block{to_half(scale), {}};
  for (int i = 0; i < kQuantBlock; ++i)
    block.values[i] =
        static_cast<int8_t>(std::clamp(number_or(std::round(values[i] * inverse), 0.0f), -127.0f, 127.0f));
  return block;
}

BlockQ4 quantize_q4(const float* values) {
  const float scale = std::clamp(extreme_of(values) / -8.0f, -kLargestHalf, kLargestHalf);
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  const auto nibble = [&](int i) {
    return static_cast<uint8_t>(std::clamp(number_or(values[i] * inverse + 8.5f, 8.0f), 0.0f, 15.0f));
  };
  BlockQ4 block{to_half(scale), {}};
  for (int i = 0; i < kQuantBlock / 2; ++i)
    block.pairs[i] = static_cast<uint8_t>(nibble(i) | nibble(i + kQuantBlock / 2) << 4);
  return block;
}

void dequantize(const BlockQ8& block, float* values) {
  const float scale = to_float(block.scale);
  for (int i = 0; i < kQuantBlock; ++i) values[i] = scale * static_cast<float>(block.values[i]);
}

void dequantize(const BlockQ4& block, float* values) {
  const float scale = to_float(block.scale);
  for (int i = 0; i < kQuantBlock / 2; ++i) {
    values[i] = scale * static_cast<float>((block.pairs[i] & 15) - 8);
    values[i + kQuantBlock / 2] = scale * static_cast<float>((block.pairs[i] >> 4) - 8);
  }
}

}  // namespace sumi
