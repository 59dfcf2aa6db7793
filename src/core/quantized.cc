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

namespace {

float half_at(const uint8_t* bytes) { return to_float(Half{static_cast<uint16_t>(bytes[0] | bytes[1] << 8)}); }
uint32_t word_at(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
         static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

// Blocks of 32 values of four or five bits: `minimum` is added, `offset` taken from each.
void dequantize_small(const uint8_t* nibbles, const uint8_t* fifth, float scale, float minimum, int offset,
                      float* values) {
  const uint32_t high = fifth != nullptr ? word_at(fifth) : 0;
  for (int i = 0; i < kQuantBlock / 2; ++i) {
    const int low_value = (nibbles[i] & 15) | static_cast<int>(high >> i & 1) << 4;
    const int high_value = (nibbles[i] >> 4) | static_cast<int>(high >> (i + 16) & 1) << 4;
    values[i] = scale * static_cast<float>(low_value - offset) + minimum;
    values[i + kQuantBlock / 2] = scale * static_cast<float>(high_value - offset) + minimum;
  }
}

// The six bits of scale and minimum number `i` of eight, packed into twelve bytes.
void scale_and_minimum(const uint8_t* packed, int i, int& scale, int& minimum) {
  if (i < 4) {
    scale = packed[i] & 63;
    minimum = packed[i + 4] & 63;
  } else {
    scale = (packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4;
    minimum = (packed[i + 4] >> 4) | (packed[i] >> 6) << 4;
  }
}

// q4_K, and with `fifth` q5_K.
void dequantize_k(const uint8_t* block, const uint8_t* fifth, const uint8_t* nibbles, float* values) {
  const float scale = half_at(block), minima = half_at(block + 2);
  for (int part = 0; part < 8; ++part) {
    int s = 0, m = 0;
    scale_and_minimum(block + 4, part, s, m);
    const float factor = scale * static_cast<float>(s), below = minima * static_cast<float>(m);
    for (int i = 0; i < 32; ++i) {
      const uint8_t pair = nibbles[part / 2 * 32 + i];
      int q = part % 2 == 0 ? pair & 15 : pair >> 4;
      if (fifth != nullptr) q |= (fifth[i] >> part & 1) << 4;
      values[part * 32 + i] = factor * static_cast<float>(q) - below;
    }
  }
}

void dequantize_q6k(const uint8_t* block, float* values) {
  const uint8_t *low = block, *high = block + 128;
  const auto* scales = reinterpret_cast<const int8_t*>(block + 192);
  const float scale = half_at(block + 208);
  for (int half = 0; half < 2; ++half, low += 64, high += 32, scales += 8, values += 128) {
    for (int i = 0; i < 128; ++i) {
      const int part = i / 32, at = i % 32;
      const uint8_t nibbles = low[at + (part % 2) * 32];
      const int q = ((part < 2 ? nibbles & 15 : nibbles >> 4) | (high[at] >> (2 * part) & 3) << 4) - 32;
      values[i] = scale * static_cast<float>(scales[i / 16]) * static_cast<float>(q);
    }
  }
}

}  // namespace

int64_t bytes_of_block(DType dtype) {
  switch (dtype) {
    case DType::kQ8: return 34;
    case DType::kQ4: return 18;
    case DType::kQ4_1: return 20;
    case DType::kQ5_0: return 22;
    case DType::kQ5_1: return 24;
    case DType::kQ4K: return 144;
    case DType::kQ5K: return 176;
    case DType::kQ6K: return 210;
    default: return 0;
  }
}

void dequantize_block(DType dtype, const void* block, float* values) {
  const auto* bytes = static_cast<const uint8_t*>(block);
  switch (dtype) {
    case DType::kQ8: return dequantize(*static_cast<const BlockQ8*>(block), values);
    case DType::kQ4: return dequantize(*static_cast<const BlockQ4*>(block), values);
    case DType::kQ4_1: return dequantize_small(bytes + 4, nullptr, half_at(bytes), half_at(bytes + 2), 0, values);
    case DType::kQ5_0: return dequantize_small(bytes + 6, bytes + 2, half_at(bytes), 0.0f, 16, values);
    case DType::kQ5_1: return dequantize_small(bytes + 8, bytes + 4, half_at(bytes), half_at(bytes + 2), 0, values);
    case DType::kQ4K: return dequantize_k(bytes, nullptr, bytes + 16, values);
    case DType::kQ5K: return dequantize_k(bytes, bytes + 16, bytes + 48, values);
    default: return dequantize_q6k(bytes, values);
  }
}

}  // namespace sumi
