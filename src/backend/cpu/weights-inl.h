// Packs weights of the file's type into panels of floats.

#if defined(SUMI_CPU_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_WEIGHTS_INL_H_
#undef SUMI_CPU_WEIGHTS_INL_H_
#else
#define SUMI_CPU_WEIGHTS_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/tile-inl.h"
#include "core/quantized.h"
#include "ops/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// Lanes in which blocks are widened.
constexpr int kWidenLanes = kLanes < 16 ? kLanes : 16;

// Consecutive values of a block: the signed integers that the scale multiplies.
HWY_INLINE auto quants(const BlockQ8& block, int i) {
  const hn::FixedTag<int8_t, kWidenLanes> d;
  return hn::PromoteTo(hn::FixedTag<int32_t, kWidenLanes>(), hn::LoadU(d, block.values + i));
}
HWY_INLINE auto quants(const BlockQ4& block, int i) {
  const hn::FixedTag<uint8_t, kWidenLanes> d;
  const auto pairs = hn::LoadU(d, block.pairs + i % 16);
  const auto nibbles = i < 16 ? hn::And(pairs, hn::Set(d, uint8_t{15})) : hn::ShiftRight<4>(pairs);
  const hn::FixedTag<int32_t, kWidenLanes> d32;
  return hn::Sub(hn::PromoteTo(d32, nibbles), hn::Set(d32, 8));
}

// Widens `blocks` blocks of a row.
template <class Block> void widen_blocks(const Block* HWY_RESTRICT row, int64_t blocks, float* HWY_RESTRICT out) {
  const hn::FixedTag<float, kWidenLanes> d;
  for (int64_t b = 0; b < blocks; ++b) {
    const auto scale = hn::Set(d, to_float(row[b].scale));
#pragma GCC unroll 8
    for (int i = 0; i < kQuantBlock; i += kWidenLanes) {
      hn::StoreU(hn::Mul(scale, hn::ConvertTo(d, quants(row[b], i))), d, out + b * kQuantBlock + i);
    }
  }
}

// Rows of a weight matrix [rows, length], from whatever type the file has.
struct WeightRows {
  WeightView weight;
  int64_t rows, length;

  // Slices of a row begin and end at multiples of this.
  int64_t granularity() const { return block_of(weight.dtype); }

  // packed[k·kCols + j] = row first + j, value begin + k, for `count` values; beyond the last row it is repeated.
  // `staging` holds kCols × count floats.
  void pack(int64_t first, int64_t begin, int64_t count, float* HWY_RESTRICT packed,
            float* HWY_RESTRICT staging) const {
    switch (weight.dtype) {
      case DType::kF16: return pack_as<hwy::float16_t>(first, begin, count, packed);
      case DType::kBF16: return pack_as<hwy::bfloat16_t>(first, begin, count, packed);
      case DType::kQ8: return pack_blocks<BlockQ8>(first, begin, count, packed, staging);
      case DType::kQ4: return pack_blocks<BlockQ4>(first, begin, count, packed, staging);
      case DType::kF32: return pack_as<float>(first, begin, count, packed);
      default: return pack_others(first, begin, count, packed, staging);
    }
  }

 private:
  template <class T> void pack_as(int64_t first, int64_t begin, int64_t count, float* packed) const {
    const T *const values = weight.data<T>(), *from[kCols];
    for (int j = 0; j < kCols; ++j) from[j] = values + std::min(first + j, rows - 1) * length + begin;
    pack_rows<kCols>(from, count, packed);
  }

  template <class Block>
  void pack_blocks(int64_t first, int64_t begin, int64_t count, float* packed, float* staging) const {
    const float* from[kCols];
    const Block* values = weight.data<Block>();
    for (int j = 0; j < kCols; ++j) {
      const Block* row = values + std::min(first + j, rows - 1) * (length / kQuantBlock);
      widen_blocks(row + begin / kQuantBlock, count / kQuantBlock, staging + j * count);
      from[j] = staging + j * count;
    }
    pack_rows<kCols>(from, count, packed);
  }

  // Types that are only read: a block at a time, by the code that specifies them.
  void pack_others(int64_t first, int64_t begin, int64_t count, float* packed, float* staging) const {
    const float* from[kCols];
    const int64_t block = block_of(weight.dtype), bytes = bytes_of_block(weight.dtype);
    const auto* values = weight.data<uint8_t>();
    for (int j = 0; j < kCols; ++j) {
      const uint8_t* row = values + std::min(first + j, rows - 1) * (length / block) * bytes;
      for (int64_t b = 0; b < count / block; ++b)
        dequantize_block(weight.dtype, row + (begin / block + b) * bytes, staging + j * count + b * block);
      from[j] = staging + j * count;
    }
    pack_rows<kCols>(from, count, packed);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
