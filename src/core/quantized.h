// Quantised weights, as ggml stores them: blocks of 32 consecutive values of a row that share a scale (q8_0, q4_0,
// q4_1, q5_0, q5_1), and of 256 in parts with scales of their own (q4_K, q5_K, q6_K).
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

inline constexpr int kSuperBlock = 256;  // of the K types, the largest of all
int64_t bytes_of_block(DType dtype);
// The values of one block of any quantised type: block_of(dtype) floats. The fields of a block, in order, all numbers
// little-endian:
//   q4_1  scale f16, minimum f16, 16 bytes of nibbles:            scale·q + minimum
//   q5_0  scale f16, 4 bytes with each value's fifth bit, nibbles: scale·(q - 16)
//   q5_1  scale f16, minimum f16, fifth bits, nibbles:             scale·q + minimum
//   q4_K  scale f16, scale of minima f16, 12 bytes with 8 scales and 8 minima of 6 bits, 128 bytes of nibbles, of each
//         32 bytes the low ones are 32 values and the high ones the next 32: scale·s·q - scale of minima·m
//   q5_K  the same with 32 bytes of fifth bits before the nibbles
//   q6_K  128 bytes of low nibbles, 64 bytes of two high bits, 16 scales i8, scale f16: scale·s·(q - 32)
void dequantize_block(DType dtype, const void* block, float* values);

// The nearest block: the largest magnitude becomes ±127 (q8), or the largest value -8 (q4). NaN becomes 0, and an
// infinity becomes the end of the finite values' range; callers warn of both. Scales stay below the largest f16, 65504.
BlockQ8 quantize_q8(const float* values);
BlockQ4 quantize_q4(const float* values);
void dequantize(const BlockQ8& block, float* values);
void dequantize(const BlockQ4& block, float* values);

}  // namespace sumi
