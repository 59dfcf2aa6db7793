#include "core/quantized.h"

#include <algorithm>
#include <cmath>

namespace sumi {

BlockQ8 quantize_q8(const float* values) {
  float largest = 0.0f;
  for (int i = 0; i < kQuantBlock; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float scale = largest / 127.0f, inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  BlockQ8 block{to_half(scale), {}};
  for (int i = 0; i < kQuantBlock; ++i) block.values[i] = static_cast<int8_t>(std::round(values[i] * inverse));
  return block;
}

BlockQ4 quantize_q4(const float* values) {
  const float extreme =
      *std::max_element(values, values + kQuantBlock, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  const float scale = extreme / -8.0f, inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  const auto nibble = [&](int i) { return static_cast<uint8_t>(std::clamp(values[i] * inverse + 8.5f, 0.0f, 15.0f)); };
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
