// Quantised weights: blocks of 32 consecutive values of a row that share a scale, as ggml stores its types q8_0 and
// q4_0.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace sumi {

constexpr int kQuantBlock = 32;

// value = scale · values[i]
struct BlockQ8 {
  Half scale;
  int8_t values[kQuantBlock];
};
// value = scale · (nibble - 8); the low nibbles are values 0 … 15, the high ones 16 … 31.
struct BlockQ4 {
  Half scale;
  uint8_t pairs[kQuantBlock / 2];
};
static_assert(sizeof(BlockQ8) == 34 && sizeof(BlockQ4) == 18);

// The nearest block: the largest magnitude becomes ±127 (q8), or the largest value -8 (q4). NaN becomes 0, and an
// infinity becomes the end of the finite values' range; callers warn of both. Scales stay below the largest f16, 65504.
BlockQ8 quantize_q8(const float* values);
BlockQ4 quantize_q4(const float* values);
void dequantize(const BlockQ8& block, float* values);
void dequantize(const BlockQ4& block, float* values);

}  // namespace sumi
