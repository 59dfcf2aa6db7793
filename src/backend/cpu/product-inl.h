// A blocked matrix product: rows are pixels or tokens, columns are output channels.
//
// A task owns a block of the output (rows × columns) and runs over the whole inner dimension in slices. For each slice
// it packs its part of the right-hand side into panels, then, strip by strip, packs kRows rows of the left and
// multiplies. Cost of packing: half a cycle a value, against columns/16 cycles of multiplication for each value of the
// left and rows/16 for each of the right (AVX-512, one multiply-add a cycle). Packing shared operands in a phase of
// their own was tried and gained nothing: 2048x640 → 640 0.91 and 0.90 of the peak, a 3x3 layer of stride 2 at
// 32x32x640 0.83 and 0.75.
//
// Every output element is summed over the inner dimension in an order that depends on the product's sizes alone, never
// on where the blocks fall: any number of threads gives the same bytes.

#if defined(SUMI_CPU_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_PRODUCT_INL_H_
#undef SUMI_CPU_PRODUCT_INL_H_
#else
#define SUMI_CPU_PRODUCT_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backend/cpu/scratch.h"
#include "backend/cpu/tile-inl.h"
#include "core/context.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// Inner slice: the strip of A (12 × 384 floats = 18 KB) stays in a 32 KB L1 while the panels of B stream past it.
constexpr int64_t kSlice = 384;
// Columns of a task: 384 × 384 floats of packed panels = 590 KB, of a 1 MB L2.
constexpr int64_t kMaxColumns = 384;
constexpr int64_t kMaxRows = 1024;
// Blocks are made smaller until every thread has this many tasks, so that several cores share even small layers.
constexpr int64_t kTasksPerThread = 4;
struct Blocking {
  int64_t rows, columns, row_blocks, column_blocks;
};

inline Blocking choose_blocking(int64_t m, int64_t n, int threads) {
  Blocking b;
  b.column_blocks = ceil_div(n, kMaxColumns);
  b.row_blocks = ceil_div(m, kMaxRows);
  const int64_t tasks = kTasksPerThread * std::max(2, threads);
  while (b.row_blocks * b.column_blocks < tasks && (m / b.row_blocks > 8 * kRows || n / b.column_blocks > 2 * kCols)) {
    // Packing costs least beside the products where blocks are square.
    if (m / b.row_blocks > n / b.column_blocks) {
      b.row_blocks *= 2;
    } else {
      b.column_blocks *= 2;
    }
  }
  b.rows = round_up(ceil_div(m, b.row_blocks), kRows);
  b.columns = round_up(ceil_div(n, b.column_blocks), kCols);
  b.row_blocks = ceil_div(m, b.rows);
  b.column_blocks = ceil_div(n, b.columns);
  return b;
}

// The input rows of the next strip, prefetched while this one is multiplied. Pays where a strip has few columns to hide
// the latency: 8192x320 → 320 0.88 → 0.91 of the peak, wider layers as before.
struct Ahead {
  const float* rows[kRows];
  int64_t count;  // floats a row; 0: nothing is prefetched

  // Part `part` of `parts`.
  void fetch(int64_t part, int64_t parts) const {
    for (int64_t r = part * kRows / parts; r < (part + 1) * kRows / parts; ++r) {
      for (int64_t k = 0; k < count; k += 16) __builtin_prefetch(rows[r] + k, 0, 2);
    }
  }
};

// out[m0 + r, o0 + c] for a strip of up to kRows rows, from a packed strip and packed panels.
inline void multiply_strip(const float* strip, const float* panels, int64_t depth, float* out, int64_t stride,
                           int64_t rows, int64_t columns, bool accumulate, const Ahead& ahead) {
  HWY_ALIGN float edge[kRows * kCols];
  const int64_t parts = ceil_div(columns, kCols);
  for (int64_t panel = 0; panel < columns; panel += kCols) {
    ahead.fetch(panel / kCols, parts);
    const float* b = panels + panel * depth;
    float* c = out + panel;
    const int64_t width = std::min<int64_t>(kCols, columns - panel);
    if (rows == kRows && width == kCols) {
      tile<kRows>(strip, b, depth, c, stride, accumulate);
      continue;
    }
    if (accumulate) {
      for (int64_t r = 0; r < rows; ++r)
        std::memcpy(edge + r * kCols, c + r * stride, sizeof(float) * static_cast<size_t>(width));
    }
    if (width <= kLanes) {  // half of the work
      tile<kRows, 0, 1>(strip, b, depth, edge, kCols, accumulate);
    } else {
      tile<kRows>(strip, b, depth, edge, kCols, accumulate);
    }
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(c + r * stride, edge + r * kCols, sizeof(float) * static_cast<size_t>(width));
  }
}

// The inner dimension: `units` (input channels), each of `taps` values, in slices. The packing decides the order within
// a slice.
struct Inner {
  int64_t units, taps;
  int64_t granularity = 1;  // slices begin and end at multiples of it (in units)

  int64_t slice() const {
    const int64_t slices = std::max<int64_t>(1, ceil_div(units * taps, kSlice));
    return std::min(units, round_up(ceil_div(units, slices), std::max<int64_t>(4, granularity)));
  }
};

// out [m, n] = left · right. `pack_panel(column, c0, channels, to, staging)` packs kCols columns of the right-hand
// side, any beyond the last repeated, with 2·kCols·channels·taps floats to work in; `pack_strip(row, next, c0,
// channels, to)` packs kRows rows of the left, any beyond the last repeated, and returns what it will read from row
// `next` on; `finish(row, rows, column, columns)` is called for every part of the output as soon as its sums are
// complete.
template <class PackPanel, class PackStrip, class Finish>
void blocked_product(const Context& context, int64_t m, int64_t n, const Inner& inner, float* out,
                     const PackPanel& pack_panel, const PackStrip& pack_strip, const Finish& finish) {
  const Blocking blocking = choose_blocking(m, n, context.num_threads());
  const int64_t slice = inner.slice(), slice_depth = slice * inner.taps;
  context.parallel_for(blocking.row_blocks * blocking.column_blocks, [&](int64_t task) {
    const int64_t o0 = task / blocking.row_blocks * blocking.columns, columns = std::min(blocking.columns, n - o0);
    const int64_t begin = task % blocking.row_blocks * blocking.rows, end = std::min(m, begin + blocking.rows);
    const int64_t panel_floats = round_up(columns, kCols) * slice_depth;
    float* panels = thread_scratch(static_cast<size_t>(panel_floats + (2 * kCols + kRows) * slice_depth + 64));
    float* staging = panels + panel_floats;
    float* strip = staging + 2 * kCols * slice_depth;
    for (int64_t c0 = 0; c0 < inner.units; c0 += slice) {
      const int64_t channels = std::min(slice, inner.units - c0), depth = channels * inner.taps;
      for (int64_t panel = 0; panel < columns; panel += kCols)
        pack_panel(o0 + panel, c0, channels, panels + panel * depth, staging);
      for (int64_t row = begin; row < end; row += kRows) {
        const int64_t rows = std::min<int64_t>(kRows, end - row);
        const Ahead ahead = pack_strip(row, row + kRows < end ? row + kRows : begin, c0, channels, strip);
        multiply_strip(strip, panels, depth, out + row * n + o0, n, rows, columns, c0 > 0, ahead);
        if (c0 + channels >= inner.units) finish(row, rows, o0, columns);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
