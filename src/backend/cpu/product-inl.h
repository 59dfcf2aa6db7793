// A blocked matrix product: rows are pixels or tokens, columns are output channels.
//
// A task owns a block of the output (rows × columns) and runs over the whole inner dimension in slices. For each slice
// it has panels of the right-hand side and, strip by strip, kRows rows of the left, both packed k-major. What several
// tasks need is packed once, in a phase before: the panels where blocks of rows share them, the strips where blocks of
// columns do and they are few. Everything else a task packs for itself. Cost of packing: half a cycle a value, against
// columns/16 cycles of multiplication for each value of the left and rows/16 for each of the right (AVX-512, one
// multiply-add a cycle).
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
#include "base/parallel.h"

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
// What is packed once for several tasks stays in the outer cache.
constexpr int64_t kSharedPanels = 8 << 20;  // bytes, and at least one block of columns
constexpr int64_t kSharedStrips = 2 << 20;

struct Blocking {
  int64_t rows, columns, row_blocks, column_blocks;
};

Blocking choose_blocking(int64_t m, int64_t n) {
  Blocking b;
  b.column_blocks = ceil_div(n, kMaxColumns);
  b.row_blocks = ceil_div(m, kMaxRows);
  const int64_t tasks = kTasksPerThread * std::max(2, num_threads());
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

// The input rows of the next strip, asked for while this one is multiplied. Pays where a strip has few columns to wait
// behind: 8192x320 → 320 0.88 → 0.91 of the peak, wider layers as before.
struct Ahead {
  const float* rows[kRows];
  int64_t count;  // floats a row; 0: nothing is asked for

  // Part `part` of `parts`.
  void fetch(int64_t part, int64_t parts) const {
    for (int64_t r = part * kRows / parts; r < (part + 1) * kRows / parts; ++r) {
      for (int64_t k = 0; k < count; k += 16) __builtin_prefetch(rows[r] + k, 0, 2);
    }
  }
};

// out[m0 + r, o0 + c] for a strip of up to kRows rows, from a packed strip and packed panels.
void multiply_strip(const float* strip, const float* panels, int64_t depth, float* out, int64_t stride, int64_t rows,
                    int64_t columns, bool accumulate, const Ahead& ahead) {
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
    tile<kRows>(strip, b, depth, edge, kCols, accumulate);
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(c + r * stride, edge + r * kCols, sizeof(float) * static_cast<size_t>(width));
  }
}

// The inner dimension: `units` (input channels), each of `taps` values, in slices. Inner order of a slice is whatever
// the packing makes it.
struct Inner {
  int64_t units, taps;
  int64_t granularity = 1;  // slices begin and end at multiples of it (in units)

  int64_t slice() const {
    const int64_t slices = std::max<int64_t>(1, ceil_div(units * taps, kSlice));
    return std::min(units, round_up(ceil_div(units, slices), std::max<int64_t>(4, granularity)));
  }
};

// out [m, n] = left · right. `pack_panel(column, c0, channels, to, staging)` packs kCols columns of the right-hand
// side, any beyond the last repeated; `pack_strip(row, next, c0, channels, to)` packs kRows rows of the left, any
// beyond the last repeated, and says what of row `next` on it will read; `finish(row, rows, column, columns)` is called
// for every part of the output as soon as its sums are complete.
template <class PackPanel, class PackStrip, class Finish> class BlockedProduct {
 public:
  BlockedProduct(int64_t m, int64_t n, const Inner& inner, float* out, const PackPanel& pack_panel,
                 const PackStrip& pack_strip, const Finish& finish)
      : m_(m),
        n_(n),
        inner_(inner),
        out_(out),
        pack_panel_(pack_panel),
        pack_strip_(pack_strip),
        finish_(finish),
        blocks_(choose_blocking(m, n)),
        slice_(inner.slice()),
        depth_(inner.units * inner.taps),
        strip_stride_(kRows * depth_ + 16),  // packing may spill over the end
        shares_panels_(blocks_.row_blocks > 1),
        shares_strips_(blocks_.column_blocks > 1 && m * depth_ * static_cast<int64_t>(sizeof(float)) <= kSharedStrips) {
  }

  void run() {
    const int64_t block_bytes = blocks_.columns * depth_ * static_cast<int64_t>(sizeof(float));
    const int64_t group = shares_panels_ ? std::clamp<int64_t>(kSharedPanels / std::max<int64_t>(block_bytes, 1), 1,
                                                               blocks_.column_blocks)
                                         : blocks_.column_blocks;
    const int64_t strips = shares_strips_ ? ceil_div(m_, kRows) : 0;
    const int64_t panel_floats = shares_panels_ ? group * blocks_.columns * depth_ : 0;
    if (panel_floats + strips > 0) shared_ = shared_scratch(static_cast<size_t>(panel_floats + strips * strip_stride_));
    strips_ = shared_ + panel_floats;
    for (int64_t begin = 0; begin < blocks_.column_blocks; begin += group) {
      const int64_t count = std::min(group, blocks_.column_blocks - begin);
      pack_shared(begin, count, begin == 0 ? strips : 0);
      // Threads at work at the same time share a block of columns.
      parallel_for(count * blocks_.row_blocks, [&](int64_t task) {
        multiply(begin, begin + task / blocks_.row_blocks, task % blocks_.row_blocks);
      });
    }
  }

 private:
  int64_t columns_of(int64_t block) const { return std::min(blocks_.columns, n_ - block * blocks_.columns); }

  void pack_panels(int64_t block, int64_t c0, int64_t panel_begin, int64_t panel_end, float* to, float* staging) const {
    const int64_t channels = std::min(slice_, inner_.units - c0);
    for (int64_t panel = panel_begin; panel < panel_end; panel += kCols)
      pack_panel_(block * blocks_.columns + panel, c0, channels, to + panel * channels * inner_.taps, staging);
  }

  // One task a panel of a slice, then one a strip.
  void pack_shared(int64_t begin, int64_t count, int64_t strips) const {
    const int64_t slices = ceil_div(inner_.units, slice_), panels = blocks_.columns / kCols;
    const int64_t panel_tasks = shares_panels_ ? count * slices * panels : 0;
    if (panel_tasks + strips == 0) return;
    parallel_for(panel_tasks + strips, [&](int64_t task) {
      if (task >= panel_tasks) {
        const int64_t row = (task - panel_tasks) * kRows;
        float* to = strips_ + (task - panel_tasks) * strip_stride_;
        for (int64_t c0 = 0; c0 < inner_.units; c0 += slice_)
          pack_strip_(row, row, c0, std::min(slice_, inner_.units - c0), to + kRows * c0 * inner_.taps);
        return;
      }
      const int64_t block = task / (slices * panels), panel = task % panels * kCols;
      const int64_t c0 = task / panels % slices * slice_;
      if (panel >= columns_of(begin + block)) return;
      float* to = shared_ + blocks_.columns * (block * depth_ + c0 * inner_.taps);
      float* staging = thread_scratch(static_cast<size_t>(2 * kCols * slice_ * inner_.taps + 64));
      pack_panels(begin + block, c0, panel, panel + kCols, to, staging);
    });
  }

  void multiply(int64_t first_block, int64_t block, int64_t row_block) const {
    const int64_t o0 = block * blocks_.columns, columns = columns_of(block), slice_depth = slice_ * inner_.taps;
    const int64_t begin = row_block * blocks_.rows, end = std::min(m_, begin + blocks_.rows);
    const int64_t own_floats = shares_panels_ ? 0 : blocks_.columns * slice_depth;
    float* own = thread_scratch(static_cast<size_t>(own_floats + (2 * kCols + kRows) * slice_depth + 64));
    float* staging = own + own_floats;
    float* own_strip = staging + 2 * kCols * slice_depth;
    for (int64_t c0 = 0; c0 < inner_.units; c0 += slice_) {
      const int64_t channels = std::min(slice_, inner_.units - c0), depth = channels * inner_.taps;
      const float* panels = own;
      if (shares_panels_) {
        panels = shared_ + blocks_.columns * ((block - first_block) * depth_ + c0 * inner_.taps);
      } else {
        pack_panels(block, c0, 0, columns, own, staging);
      }
      for (int64_t row = begin; row < end; row += kRows) {
        const int64_t rows = std::min<int64_t>(kRows, end - row);
        const float* strip = own_strip;
        Ahead ahead{{}, 0};
        if (shares_strips_) {
          strip = strips_ + row / kRows * strip_stride_ + kRows * c0 * inner_.taps;
        } else {
          ahead = pack_strip_(row, row + kRows < end ? row + kRows : begin, c0, channels, own_strip);
        }
        multiply_strip(strip, panels, depth, out_ + row * n_ + o0, n_, rows, columns, c0 > 0, ahead);
        if (c0 + channels >= inner_.units) finish_(row, rows, o0, columns);
      }
    }
  }

  int64_t m_, n_;
  Inner inner_;
  float* out_;
  const PackPanel& pack_panel_;
  const PackStrip& pack_strip_;
  const Finish& finish_;
  Blocking blocks_;
  int64_t slice_, depth_, strip_stride_;
  bool shares_panels_, shares_strips_;
  float* shared_ = nullptr;
  float* strips_ = nullptr;
};

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
