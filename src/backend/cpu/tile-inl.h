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
using F32x4 = hn::FixedTag<float, 4>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(F32()));
constexpr int kTileVectors = 2;
constexpr int kCols = kTileVectors * kLanes;
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif

// Four consecutive values of a row, widened to float.
HWY_INLINE hn::Vec<F32x4> load4(const float* p) { return hn::LoadU(F32x4(), p); }
HWY_INLINE hn::Vec<F32x4> load4(const hwy::float16_t* p) {
  return hn::PromoteTo(F32x4(), hn::LoadU(hn::Rebind<hwy::float16_t, F32x4>(), p));
}
HWY_INLINE hn::Vec<F32x4> load4(const hwy::bfloat16_t* p) {
  return hn::PromoteTo(F32x4(), hn::LoadU(hn::Rebind<hwy::bfloat16_t, F32x4>(), p));
}
HWY_INLINE float load1(const float* p) { return *p; }
template <class T> HWY_INLINE float load1(const T* p) {
  const hn::FixedTag<float, 1> d;
  return hn::GetLane(hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, decltype(d)>(), p)));
}

// Writes the transpose of 4 rows × 4 values: out[j·stride + i] = rows[i][j].
template <class T>
HWY_INLINE void transpose_4x4(const T* r0, const T* r1, const T* r2, const T* r3, float* HWY_RESTRICT o0,
                              float* HWY_RESTRICT o1, float* HWY_RESTRICT o2, float* HWY_RESTRICT o3) {
  const F32x4 d;
  const auto a = load4(r0), b = load4(r1), c = load4(r2), e = load4(r3);
  const auto ab_lo = hn::InterleaveLower(d, a, b), ab_hi = hn::InterleaveUpper(d, a, b);  // a0 b0 a1 b1 | a2 b2 a3 b3
  const auto ce_lo = hn::InterleaveLower(d, c, e), ce_hi = hn::InterleaveUpper(d, c, e);
  hn::StoreU(hn::ConcatLowerLower(d, ce_lo, ab_lo), d, o0);
  hn::StoreU(hn::ConcatUpperUpper(d, ce_lo, ab_lo), d, o1);
  hn::StoreU(hn::ConcatLowerLower(d, ce_hi, ab_hi), d, o2);
  hn::StoreU(hn::ConcatUpperUpper(d, ce_hi, ab_hi), d, o3);
}

// out[k·kWidth + r] = rows[r][k] for kWidth rows and `count` values. Where kWidth is not a multiple of 4 a store may
// spill up to 2 floats beyond the last row: the caller leaves room for them.
template <int kWidth, class T> HWY_INLINE void pack_rows(const T* const* rows, int64_t count, float* HWY_RESTRICT out) {
  static_assert(kWidth % 2 == 0);
  int64_t k = 0;
  for (; k + 4 <= count; k += 4) {
    float* to = out + k * kWidth;
    if constexpr (kWidth % 4 == 2) {  // the spilled pair is overwritten by what follows
      const int r = kWidth - 2;
      transpose_4x4(rows[r] + k, rows[r + 1] + k, rows[r + 1] + k, rows[r + 1] + k, to + r, to + kWidth + r,
                    to + 2 * kWidth + r, to + 3 * kWidth + r);
    }
    for (int r = 0; r + 4 <= kWidth; r += 4) {
      transpose_4x4(rows[r] + k, rows[r + 1] + k, rows[r + 2] + k, rows[r + 3] + k, to + r, to + kWidth + r,
                    to + 2 * kWidth + r, to + 3 * kWidth + r);
    }
  }
  for (; k < count; ++k) {
    for (int r = 0; r < kWidth; ++r) out[k * kWidth + r] = load1(rows[r] + k);
  }
}

// c[r·stride + v] (+)= Σ_k a(k, r)·b[k·kVectors·kLanes + v] for kHeight rows, where a(k, r) is a[k·kHeight + r], or
// a[r·kRowStride + k] if that is given: rows at a distance known to the compiler need no packing. One fixed order of k
// for every element.
template <int kHeight, int kVectors, int kRowStride = 0>
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
  // The lines of C come in while the products run: they are written at the end, and read before if accumulated to.
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
    b += kVectors * kLanes;
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
