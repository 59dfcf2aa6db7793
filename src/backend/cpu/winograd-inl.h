// 3x3 convolution by Winograd's minimal filtering, F(4x4, 3x3): 36 multiplications where direct convolution spends 144.
//
//   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A           (Lavin and Gray 2016; points 0, ±1, ±2, ∞)
//
// d is a 6x6 patch of the input, g the 3x3 filter, Y a 4x4 patch of the output. Summed over input channels, the ⊙ is 36
// independent products [tiles × in_c]·[in_c × out_c].
//
// In two phases. First the input patches of some blocks of tiles are transformed, for all channels (vectors of
// channels). Then each task takes a block of tiles and a panel of output channels and runs over the input channels in
// slices: it transforms the weights of the slice (vectors of output channels; from the file's type, so no transformed
// copy of the model exists) and multiplies. What one task holds:
//   weights 36 × kDepth × kCols floats          64 × 32: 295 KB
//   sums    36 × kTiles × 32 floats             96 × 32: 442 KB
// in a 1 MB L2; the transformed inputs (36 × kTiles × channels floats) come from the outer cache at two bytes a cycle,
// prefetched a strip ahead. Cycles a (tile, channel, output), AVX-512, one multiply-add a cycle: the product 36/16; the
// input transform 9/outputs; the weight transform 12/kTiles; the output transform 8/in_c: at 320 channels 2.25 + 0.03 +
// 0.13 + 0.03, where direct convolution spends 9.
//
// Measured (2 threads, Zen 4, share of the peak counted for direct convolution): 64x64x320 2.2 → 2.5, 32x32x640 2.3
// → 2.6, 64x64x512 2.2 → 2.6 against the form that transformed the inputs again for every 64 outputs.

#if defined(SUMI_CPU_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_WINOGRAD_INL_H_
#undef SUMI_CPU_WINOGRAD_INL_H_
#else
#define SUMI_CPU_WINOGRAD_INL_H_
#endif

#include "backend/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int kPoints = 36;  // of a 6x6 transformed patch

// Bᵀ applied to six vectors: one row or column of the input transform.
template <class V, class D> HWY_INLINE void input_transform_1d(D d, V& x0, V& x1, V& x2, V& x3, V& x4, V& x5) {
  const V two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f), five = hn::Set(d, 5.0f);
  const V even = hn::NegMulAdd(four, x2, x4), odd = hn::NegMulAdd(four, x1, x3);  // x4 - 4x2, x3 - 4x1
  const V low = hn::Sub(x4, x2), high = hn::Mul(two, hn::Sub(x3, x1));
  const V y0 = hn::MulAdd(four, x0, hn::NegMulAdd(five, x2, x4));
  const V y5 = hn::MulAdd(four, x1, hn::NegMulAdd(five, x3, x5));
  x0 = y0;
  x1 = hn::Add(even, odd);
  x2 = hn::Sub(even, odd);
  x3 = hn::Add(low, high);
  x4 = hn::Sub(low, high);
  x5 = y5;
}

// G applied to three vectors.
template <class V, class D> HWY_INLINE void filter_transform_1d(D d, V g0, V g1, V g2, V* HWY_RESTRICT u) {
  const V sixth = hn::Set(d, 1.0f / 6.0f), four = hn::Set(d, 4.0f);
  const V sum = hn::Mul(sixth, hn::Add(g0, g2)), middle = hn::Mul(sixth, g1);
  const V wide = hn::Mul(hn::Set(d, 1.0f / 24.0f), hn::MulAdd(four, g2, g0)),
          half = hn::Mul(hn::Set(d, 1.0f / 12.0f), g1);
  u[0] = hn::Mul(hn::Set(d, 0.25f), g0);
  u[1] = hn::Neg(hn::Add(sum, middle));
  u[2] = hn::Sub(middle, sum);
  u[3] = hn::Add(wide, half);
  u[4] = hn::Sub(wide, half);
  u[5] = g2;
}

// Aᵀ applied to six vectors.
template <class V, class D>
HWY_INLINE void output_transform_1d(D d, V m0, V m1, V m2, V m3, V m4, V m5, V* HWY_RESTRICT y) {
  const V sum = hn::Add(m1, m2), difference = hn::Sub(m1, m2), wide = hn::Add(m3, m4), far = hn::Sub(m3, m4);
  y[0] = hn::Add(hn::Add(m0, sum), wide);
  y[1] = hn::MulAdd(hn::Set(d, 2.0f), far, difference);
  y[2] = hn::MulAdd(hn::Set(d, 4.0f), wide, sum);
  y[3] = hn::Add(hn::MulAdd(hn::Set(d, 8.0f), far, difference), m5);
}

// Transforms one 6x6 patch for one vector of channels: patch[i] points at the channels of pixel i, to[p·stride] takes
// point p.
template <class D>
HWY_INLINE void transform_patch(D d, const float* const* patch, int64_t channel, float* HWY_RESTRICT to,
                                int64_t stride) {
  using V = hn::Vec<D>;
  V x[6][6];
#pragma GCC unroll 6
  for (int row = 0; row < 6; ++row) {
#pragma GCC unroll 6
    for (int column = 0; column < 6; ++column) x[row][column] = hn::LoadU(d, patch[row * 6 + column] + channel);
    input_transform_1d(d, x[row][0], x[row][1], x[row][2], x[row][3], x[row][4], x[row][5]);
  }
#pragma GCC unroll 6
  for (int column = 0; column < 6; ++column) {
    input_transform_1d(d, x[0][column], x[1][column], x[2][column], x[3][column], x[4][column], x[5][column]);
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) hn::StoreU(x[row][column], d, to + (row * 6 + column) * stride);
  }
}

// Transforms the filters of one input channel for one vector of outputs: taps[t·kCols] is tap t.
HWY_INLINE void transform_filter(const float* HWY_RESTRICT taps, float* HWY_RESTRICT to, int64_t stride) {
  const F32 d;
  using V = hn::Vec<F32>;
  V half[6][3];  // G g
#pragma GCC unroll 3
  for (int column = 0; column < 3; ++column) {
    V u[6];
    filter_transform_1d(d, hn::LoadU(d, taps + column * kCols), hn::LoadU(d, taps + (3 + column) * kCols),
                        hn::LoadU(d, taps + (6 + column) * kCols), u);
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) half[row][column] = u[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < 6; ++row) {
    V u[6];
    filter_transform_1d(d, half[row][0], half[row][1], half[row][2], u);
#pragma GCC unroll 6
    for (int column = 0; column < 6; ++column) hn::StoreU(u[column], d, to + (row * 6 + column) * stride);
  }
}

// The 4x4 outputs of one tile for one vector of output channels: sums[p·stride] is point p, out[4·row + column] the
// result.
template <class D>
HWY_INLINE void transform_sums(D d, const float* HWY_RESTRICT sums, int64_t stride, hn::Vec<D>* HWY_RESTRICT out) {
  using V = hn::Vec<D>;
  V half[4][6];
#pragma GCC unroll 6
  for (int column = 0; column < 6; ++column) {
    V y[4];
    const float* m = sums + column * stride;
    output_transform_1d(d, hn::LoadU(d, m), hn::LoadU(d, m + 6 * stride), hn::LoadU(d, m + 12 * stride),
                        hn::LoadU(d, m + 18 * stride), hn::LoadU(d, m + 24 * stride), hn::LoadU(d, m + 30 * stride), y);
#pragma GCC unroll 4
    for (int row = 0; row < 4; ++row) half[row][column] = y[row];
  }
#pragma GCC unroll 4
  for (int row = 0; row < 4; ++row) {
    output_transform_1d(d, half[row][0], half[row][1], half[row][2], half[row][3], half[row][4], half[row][5],
                        out + 4 * row);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
