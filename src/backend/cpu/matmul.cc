// Linear layers and convolution as one blocked product: rows are pixels or tokens, columns are output channels.
//
// A task owns a block of the output (rows × columns) and runs over the whole inner dimension in slices. For each slice
// it packs its part of the weights into panels (widened to float there, so that f16 and bf16 files are never held
// twice), then, strip by strip, packs kRows rows of the input and multiplies. An input pixel is read where it lies: no
// im2col matrix exists, only the strip of kRows pixels × one slice. Cost of packing: half a cycle a value, against
// columns/16 cycles of multiplication for each input value and rows/16 for each weight (AVX-512, one multiply-add a
// cycle).
//
// Every output element is summed over the inner dimension in an order that depends on the layer's sizes alone, never on
// where the blocks fall: any number of threads gives the same bytes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/matmul.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cstring>

#include "backend/cpu/math-inl.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/tile-inl.h"
#include "backend/cpu/winograd.h"
#include "base/parallel.h"
#include "hwy/highway.h"
#include "ops/conv.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// Inner slice: the strip of A (12 × 384 floats = 18 KB) stays in a 32 KB L1 while the panels of B stream past it.
constexpr int64_t kSlice = 384;
// Columns of a task: 384 × 384 floats of packed weights = 590 KB, of a 1 MB L2.
constexpr int64_t kMaxColumns = 384;
constexpr int64_t kMaxRows = 1024;
// Blocks are made smaller until every thread has this many tasks, so that several cores share even small layers.
constexpr int64_t kTasksPerThread = 4;

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

// The geometry of a convolution; a linear layer is one with a 1x1 kernel over a single line of pixels.
struct Taps {
  int64_t count;  // kernel_h · kernel_w
  int64_t slice;  // input channels a slice; inner order of a slice is [tap][channel]
};

Taps choose_slice(int64_t in_c, int64_t taps) {
  const int64_t slices = std::max<int64_t>(1, ceil_div(in_c * taps, kSlice));
  return {taps, std::min(in_c, round_up(ceil_div(in_c, slices), 4))};
}

// Packs weights of outputs [o0, o0 + columns) and input channels [c0, c0 + channels) into panels of kCols.
// weight [out_c, in_c, taps]: a row's slice is contiguous in (channel, tap); the panel wants (tap, channel).
template <class T>
void pack_weights(const T* weight, int64_t out_c, int64_t in_c, int64_t taps, int64_t o0, int64_t columns, int64_t c0,
                  int64_t channels, float* HWY_RESTRICT packed, float* HWY_RESTRICT staging) {
  const int64_t depth = channels * taps;
  for (int64_t panel = 0; panel < columns; panel += kCols) {
    const T* rows[kCols];
    for (int j = 0; j < kCols; ++j) {
      rows[j] = weight + (std::min(o0 + panel + j, out_c - 1) * in_c + c0) * taps;  // beyond the last: never stored
    }
    float* to = packed + panel * depth;
    if (taps == 1) {
      pack_rows<kCols>(rows, depth, to);
      continue;
    }
    pack_rows<kCols>(rows, depth, staging);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        std::memcpy(to + (t * channels + c) * kCols, staging + (c * taps + t) * kCols, sizeof(float) * kCols);
      }
    }
  }
}

void pack_weights(WeightView weight, int64_t out_c, int64_t in_c, int64_t taps, int64_t o0, int64_t columns, int64_t c0,
                  int64_t channels, float* packed, float* staging) {
  switch (weight.dtype) {
    case DType::kF16:
      return pack_weights(static_cast<const hwy::float16_t*>(weight.data), out_c, in_c, taps, o0, columns, c0, channels,
                          packed, staging);
    case DType::kBF16:
      return pack_weights(static_cast<const hwy::bfloat16_t*>(weight.data), out_c, in_c, taps, o0, columns, c0,
                          channels, packed, staging);
    default:
      return pack_weights(static_cast<const float*>(weight.data), out_c, in_c, taps, o0, columns, c0, channels, packed,
                          staging);
  }
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

// Bias, activation and residual on finished rows, while they are in cache.
void finish_rows(float* out, int64_t stride, int64_t rows, int64_t columns, const float* bias, const float* residual,
                 Act act) {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = out + r * stride;
    if (bias) {
      for (int64_t c = 0; c < columns; ++c) row[c] += bias[c];
    }
    if (act != Act::kNone) activate_slot.on(Device::kCpu)(row, row, columns, act);
    if (residual) {
      for (int64_t c = 0; c < columns; ++c) row[c] += residual[r * stride + c];
    }
  }
}

// Runs the blocked product. `pack_strip(m0, next, c0, channels, to)` packs kRows input rows from m0 on (the last
// repeated where fewer are left), inner order [tap][channel], and says what of row `next` on it will read.
template <class PackStrip>
void blocked_product(WeightView weight, int64_t m, int64_t n, int64_t in_c, int64_t tap_count, float* out,
                     const float* bias, const float* residual, Act act, const PackStrip& pack_strip) {
  const Blocking blocking = choose_blocking(m, n);
  const Taps taps = choose_slice(in_c, tap_count);
  const int64_t depth = taps.slice * taps.count;
  parallel_for(blocking.row_blocks * blocking.column_blocks, [&](int64_t task) {
    const int64_t o0 = task / blocking.row_blocks * blocking.columns, columns = std::min(blocking.columns, n - o0);
    const int64_t begin = task % blocking.row_blocks * blocking.rows, end = std::min(m, begin + blocking.rows);
    const int64_t panel_floats = round_up(columns, kCols) * depth;
    float* panels = thread_scratch(static_cast<size_t>(panel_floats + kCols * depth + kRows * depth + 64));
    float* staging = panels + panel_floats;
    float* strip = staging + kCols * depth + 16;
    for (int64_t c0 = 0; c0 < in_c; c0 += taps.slice) {
      const int64_t channels = std::min(taps.slice, in_c - c0);
      pack_weights(weight, n, in_c, taps.count, o0, columns, c0, channels, panels, staging);
      for (int64_t row = begin; row < end; row += kRows) {
        const int64_t rows = std::min<int64_t>(kRows, end - row);
        const Ahead ahead = pack_strip(row, row + kRows < end ? row + kRows : begin, c0, channels, strip);
        float* to = out + row * n + o0;
        multiply_strip(strip, panels, channels * taps.count, to, n, rows, columns, c0 > 0, ahead);
        if (c0 + channels < in_c) continue;
        finish_rows(to, n, rows, columns, bias ? bias + o0 : nullptr, residual ? residual + row * n + o0 : nullptr,
                    act);
      }
    }
  });
}

// Packs kRows rows of x from `row` on, values [k0, k0 + count); what is packed after them starts at row `next`.
Ahead pack_input(const LinearArgs& a, int64_t row, int64_t next, int64_t k0, int64_t count, float* strip) {
  const float* rows[kRows];
  Ahead ahead{{}, count};
  for (int r = 0; r < kRows; ++r) {
    rows[r] = a.x + std::min(row + r, a.m - 1) * a.k + k0;
    ahead.rows[r] = a.x + std::min(next + r, a.m - 1) * a.k + k0;
  }
  pack_rows<kRows>(rows, count, strip);
  return ahead;
}

void run_linear(const LinearArgs& a) {
  if (a.m == 0 || a.n == 0) return;
  blocked_product(a.weight, a.m, a.n, a.k, 1, a.out, a.bias, a.residual, a.act,
                  [&](int64_t row, int64_t next, int64_t k0, int64_t count, float* strip) {
                    return pack_input(a, row, next, k0, count, strip);
                  });
}

// Rows of a task of the gated product: its sums, 512 × 2 · 192 floats, lie in L2 beside or instead of the panels.
constexpr int64_t kGatedRows = 512 / kRows * kRows;
constexpr int64_t kGatedColumns = kMaxColumns / 2;

// out [m, n/2] = value · GELU(gate), where value and gate are the halves of x·weightᵀ + bias. A task makes a block of
// the values and the block of gates that belongs to it, side by side in scratch.
void run_linear_geglu(const LinearArgs& a) {
  const int64_t half = a.n / 2;
  if (a.m == 0 || half == 0) return;
  const int64_t columns = std::min(round_up(half, kCols), kGatedColumns), column_blocks = ceil_div(half, columns);
  const int64_t row_blocks =
      std::max(ceil_div(a.m, kGatedRows),
               std::min(ceil_div(a.m, 8 * kRows), ceil_div(kTasksPerThread * num_threads(), column_blocks)));
  const int64_t rows_a_block = round_up(ceil_div(a.m, row_blocks), kRows);
  const int64_t slice = choose_slice(a.k, 1).slice;
  const WeightView gates{static_cast<const std::byte*>(a.weight.data) + half * a.k * size_of(a.weight.dtype),
                         a.weight.dtype};
  parallel_for(ceil_div(a.m, rows_a_block) * column_blocks, [&](int64_t task) HWY_ATTR {
    const int64_t o0 = task % column_blocks * columns, used = std::min(columns, half - o0);
    const int64_t begin = task / column_blocks * rows_a_block, end = std::min(a.m, begin + rows_a_block);
    const int64_t width = round_up(used, kCols), panel_floats = width * slice;
    float* panels =
        thread_scratch(static_cast<size_t>(2 * panel_floats + rows_a_block * 2 * width + kRows * slice + 64));
    float* sums = panels + 2 * panel_floats;  // [row][value | gate]
    float* strip = sums + rows_a_block * 2 * width;
    for (int64_t k0 = 0; k0 < a.k; k0 += slice) {
      const int64_t count = std::min(slice, a.k - k0);
      pack_weights(a.weight, half, a.k, 1, o0, used, k0, count, panels, nullptr);
      pack_weights(gates, half, a.k, 1, o0, used, k0, count, panels + width * count, nullptr);
      for (int64_t row = begin; row < end; row += kRows) {
        const Ahead ahead = pack_input(a, row, row + kRows < end ? row + kRows : begin, k0, count, strip);
        float* to = sums + (row - begin) * 2 * width;
        multiply_strip(strip, panels, count, to, 2 * width, kRows, 2 * width, k0 > 0, ahead);
        if (k0 + count < a.k) continue;
        for (int64_t r = 0; r < std::min<int64_t>(kRows, end - row); ++r) {
          const float *value = to + r * 2 * width, *gate = value + width;
          float* out = a.out + (row + r) * half + o0;
          for_lanes(used, [&](auto d, int64_t c) HWY_ATTR {
            auto v = hn::LoadU(d, value + c), g = hn::LoadU(d, gate + c);
            if (a.bias != nullptr) {
              v = hn::Add(v, hn::LoadU(d, a.bias + o0 + c));
              g = hn::Add(g, hn::LoadU(d, a.bias + half + o0 + c));
            }
            hn::StoreU(hn::Mul(v, apply_act(d, g, Act::kGelu)), d, out + c);
          });
        }
      }
    }
  });
}

void run_conv(const ConvArgs& a) {
  HWY_ALIGN static constexpr float kZeros[kSlice + 4] = {};  // stands for pixels outside the picture
  const int64_t m = a.batch * a.out_h * a.out_w;
  if (m == 0 || a.out_c == 0) return;
  if (a.kernel_h == 1 && a.kernel_w == 1 && a.stride == 1 && m == a.batch * a.in_h * a.in_w && a.pad == 0) {
    return run_linear({a.x, a.weight, a.bias, a.residual, a.out, m, a.out_c, a.in_c, Act::kNone});
  }
  blocked_product(a.weight, m, a.out_c, a.in_c, a.kernel_h * a.kernel_w, a.out, a.bias, a.residual, Act::kNone,
                  [&](int64_t row, int64_t, int64_t c0, int64_t channels, float* strip) {
                    int64_t top[kRows], left[kRows];
                    const float* image[kRows];
                    for (int r = 0; r < kRows; ++r) {
                      const int64_t pixel = std::min(row + r, m - 1), line = pixel / a.out_w;
                      left[r] = pixel % a.out_w * a.stride - a.pad;
                      top[r] = line % a.out_h * a.stride - a.pad;
                      image[r] = a.x + line / a.out_h * a.in_h * a.in_w * a.in_c + c0;
                    }
                    for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
                      for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
                        const float* rows[kRows];
                        for (int r = 0; r < kRows; ++r) {
                          const int64_t y = top[r] + ky, x = left[r] + kx;
                          const bool inside = y >= 0 && y < a.in_h && x >= 0 && x < a.in_w;
                          rows[r] = inside ? image[r] + (y * a.in_w + x) * a.in_c : kZeros;
                        }
                        pack_rows<kRows>(rows, channels, strip);
                        strip += kRows * channels;
                      }
                    }
                    return Ahead{{}, 0};
                  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_linear);
HWY_EXPORT(run_linear_geglu);
HWY_EXPORT(run_conv);

void linear(const LinearArgs& args) { HWY_DYNAMIC_DISPATCH(run_linear)(args); }
void linear_geglu(const LinearArgs& args) { HWY_DYNAMIC_DISPATCH(run_linear_geglu)(args); }

void conv2d(const ConvArgs& args) {
  if (winograd_pays(args)) return winograd_conv(args);
  HWY_DYNAMIC_DISPATCH(run_conv)(args);
}

const KernelRegistration kLinear(linear_slot, Device::kCpu, linear);
const KernelRegistration kLinearGeglu(linear_geglu_slot, Device::kCpu, linear_geglu);
const KernelRegistration kConv(conv2d_slot, Device::kCpu, conv2d);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
