// The inner loops of matrix products: packing into panels and the register tile.
//
// A product C[m,n] += A[m,k]·B[n,k]ᵀ runs over strips of kRows rows of A and panels of kCols rows of B. Both are packed
// k-major ([k][kRows], [k][kCols]) so that the register tile reads two streams from start to end. The tile keeps
// kRows × kTileVectors accumulators in registers: 12 × 2 of the 32 that AVX-512 and NEON have, 6 × 2 of the 16 of AVX2,
// which leaves room for the two vectors of B and one value of A, and gives 24 (12) independent chains, more than the
// multiply-add latency of 4-5 cycles times two a cycle needs.

#if defined(SUMI_CPU_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_TILE_INL_H_
#undef SUMI_CPU_TILE_INL_H_
#else
#define SUMI_CPU_TILE_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(F32()));
constexpr int kTileVectors = 2;
constexpr int kCols = kTileVectors * kLanes;
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// One value of a row, widened to float.
HWY_INLINE float load1(const float* p) { return *p; }
template <class T> HWY_INLINE float load1(const T* p) {
  const hn::FixedTag<float, 1> d;
  return hn::GetLane(hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, decltype(d)>(), p)));
}

// Writes the transpose of 4 rows × 4 values: out[j·stride + i] = rows[i][j].
HWY_INLINE void transpose_4x4(const float* r0, const float* r1, const float* r2, const float* r3,
                              float* HWY_RESTRICT o0, float* HWY_RESTRICT o1, float* HWY_RESTRICT o2,
                              float* HWY_RESTRICT o3) {
  const hn::FixedTag<float, 4> d;
  const auto a = hn::LoadU(d, r0), b = hn::LoadU(d, r1), c = hn::LoadU(d, r2), e = hn::LoadU(d, r3);
  const auto ab_lo = hn::InterleaveLower(d, a, b), ab_hi = hn::InterleaveUpper(d, a, b);  // a0 b0 a1 b1 | a2 b2 a3 b3
  const auto ce_lo = hn::InterleaveLower(d, c, e), ce_hi = hn::InterleaveUpper(d, c, e);
  hn::StoreU(hn::ConcatLowerLower(d, ce_lo, ab_lo), d, o0);
  hn::StoreU(hn::ConcatUpperUpper(d, ce_lo, ab_lo), d, o1);
  hn::StoreU(hn::ConcatLowerLower(d, ce_hi, ab_hi), d, o2);
  hn::StoreU(hn::ConcatUpperUpper(d, ce_hi, ab_hi), d, o3);
}

// Four values each of the rows 0, 4, 8 and 12 from rows[0] on, as many as a vector has blocks of four lanes: raw bits,
// still in the type of the row.
template <int kBlocks, class Bits, class T> HWY_INLINE auto load_blocks(const T* const* rows, int64_t k) {
  const hn::FixedTag<Bits, 4> d;
  const auto at = [&](int row) HWY_ATTR { return hn::LoadU(d, reinterpret_cast<const Bits*>(rows[row] + k)); };
  if constexpr (kBlocks == 1) {
    return at(0);
  } else {
    const hn::FixedTag<Bits, 8> d2;
    const auto low = hn::Combine(d2, at(4), at(0));
    if constexpr (kBlocks == 2) {
      return low;
    } else {
      return hn::Combine(hn::FixedTag<Bits, 16>(), hn::Combine(d2, at(12), at(8)), low);
    }
  }
}

// The same, widened to a full vector of float.
HWY_INLINE hn::Vec<F32> gather_rows(const float* const* rows, int64_t k) {
  return load_blocks<kLanes / 4, float>(rows, k);
}
template <class T> HWY_INLINE hn::Vec<F32> gather_rows(const T* const* rows, int64_t k) {
  const hn::Rebind<T, F32> d;
  return hn::PromoteTo(F32(), hn::BitCast(d, load_blocks<kLanes / 4, uint16_t>(rows, k)));
}

// out[k·kWidth + r] = rows[r][k] for kWidth rows and `count` values. A vector takes four values of every fourth row, so
// that a transposition within blocks of four lanes leaves whole columns: half an instruction a value. Where kWidth is
// not a multiple of the lanes a store spills up to kPackSpill floats, which the next ones overwrite: the caller leaves
// room after the last.
constexpr int kPackSpill = 8;
template <int kWidth, class T> HWY_INLINE void pack_rows(const T* const* rows, int64_t count, float* HWY_RESTRICT out) {
  constexpr int kGroups = (kWidth + kLanes - 1) / kLanes;
  static_assert(kGroups * kLanes - kWidth <= kPackSpill);
  const F32 d;
  const hn::Repartition<uint64_t, F32> d64;
  const T* padded[kGroups * kLanes];
  for (int r = 0; r < kGroups * kLanes; ++r) padded[r] = rows[r < kWidth ? r : kWidth - 1];
  int64_t k = 0;
  for (; k + 4 <= count; k += 4) {
    hn::Vec<F32> columns[4][kGroups];
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
      const T* const* group = padded + g * kLanes;
      const auto r0 = gather_rows(group, k), r1 = gather_rows(group + 1, k), r2 = gather_rows(group + 2, k),
                 r3 = gather_rows(group + 3, k);
      const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1));
      const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3));
      const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1));
      const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
      columns[0][g] = hn::BitCast(d, hn::InterleaveLower(d64, low01, low23));
      columns[1][g] = hn::BitCast(d, hn::InterleaveUpper(d64, low01, low23));
      columns[2][g] = hn::BitCast(d, hn::InterleaveLower(d64, high01, high23));
      columns[3][g] = hn::BitCast(d, hn::InterleaveUpper(d64, high01, high23));
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) hn::StoreU(columns[j][g], d, out + (k + j) * kWidth + g * kLanes);
    }
  }
  for (; k < count; ++k) {
    for (int r = 0; r < kWidth; ++r) out[k * kWidth + r] = load1(rows[r] + k);
  }
}

// c[r·stride + v] (+)= Σ_k a(k, r)·b[k·kCols + v] for kHeight rows and the first kVectors vectors of the panel, where
// a(k, r) is a[k·kHeight + r], or a[r·kRowStride + k] if that is given: rows at a distance known to the compiler need
// no packing. One fixed order of k for every element.
template <int kHeight, int kRowStride = 0, int kVectors = kTileVectors>
HWY_INLINE void tile(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t count, float* HWY_RESTRICT c,
                     int64_t stride, bool accumulate) {
  const F32 d;
  using V = hn::Vec<F32>;
  V sum[kHeight][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kHeight; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  // Prefetches the lines of C while the products run: they are written at the end, and read first when accumulating.
#pragma GCC unroll 16
  for (int r = 0; r < kHeight; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 16 / kLanes) __builtin_prefetch(c + r * stride + v * kLanes, 1);
  }
  for (int64_t k = 0; k < count; ++k) {
    V column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) column[v] = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kHeight; ++r) {
      const V value = hn::Set(d, a[kRowStride > 0 ? r * kRowStride : r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(value, column[v], sum[r][v]);
    }
    a += kRowStride > 0 ? 1 : kHeight;
    b += kCols;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kHeight; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * stride + v * kLanes;
      hn::StoreU(accumulate ? hn::Add(hn::LoadU(d, to), sum[r][v]) : sum[r][v], d, to);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
