// Linear layers and direct convolution as blocked products. A convolution's input pixels are read where they lie: no
// im2col matrix exists, only strips of kRows pixels × one slice of channels and taps.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/matmul.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cstring>

#include "backend/cpu/conv_few.h"
#include "backend/cpu/f32_only.h"
#include "backend/cpu/math-inl.h"
#include "backend/cpu/product-inl.h"
#include "backend/cpu/weights-inl.h"
#include "backend/cpu/winograd.h"
#include "hwy/highway.h"
#include "ops/conv.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// Packs the weights of kCols outputs from `o0` on and of input channels [c0, c0 + channels). weight [out_c, in_c,
// taps]: a row's slice is contiguous in (channel, tap); the panel wants (tap, channel).
void pack_taps(const WeightRows& weights, int64_t taps, int64_t o0, int64_t c0, int64_t channels,
               float* HWY_RESTRICT panel, float* HWY_RESTRICT staging) {
  const int64_t depth = channels * taps;
  if (taps == 1) return weights.pack(o0, c0, channels, panel, staging);
  weights.pack(o0, c0 * taps, depth, staging, staging + kCols * depth);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < taps; ++t)
      std::memcpy(panel + (t * channels + c) * kCols, staging + (c * taps + t) * kCols, sizeof(float) * kCols);
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
    if (act != Act::kNone) {
      for_lanes(columns,
                [&](auto d, int64_t c) HWY_ATTR { hn::StoreU(apply_act(d, hn::LoadU(d, row + c), act), d, row + c); });
    }
    if (residual) {
      for (int64_t c = 0; c < columns; ++c) row[c] += residual[r * stride + c];
    }
  }
}

// Calls it for a part of out [m, n].
struct Finish {
  float* out;
  const float *bias, *residual;
  int64_t n;
  Act act;

  void operator()(int64_t row, int64_t rows, int64_t o0, int64_t columns) const {
    const int64_t at = row * n + o0;
    finish_rows(out + at, n, rows, columns, bias ? bias + o0 : nullptr, residual ? residual + at : nullptr, act);
  }
};

// Packs kRows of the `m` rows of x, `k` values each, from `row` on, values [k0, k0 + count); what is packed after them
// starts at row `next`.
Ahead pack_input(const float* x, int64_t m, int64_t k, int64_t row, int64_t next, int64_t k0, int64_t count,
                 float* strip) {
  const float* rows[kRows];
  Ahead ahead{{}, count};
  for (int r = 0; r < kRows; ++r) {
    rows[r] = x + std::min(row + r, m - 1) * k + k0;
    ahead.rows[r] = x + std::min(next + r, m - 1) * k + k0;
  }
  pack_rows<kRows>(rows, count, strip);
  return ahead;
}

// The inner dimension of a linear layer: the k values of x and, if the weight has a change of low rank, the `rank`
// values of its product with x, so that one pass sums both. (x | low)·(weight | up)ᵀ
struct LinearInner {
  const LinearArgs& a;
  WeightRows weights{a.weight, a.n, a.k}, ups{a.up, a.n, a.rank};

  Inner inner() const { return {a.k + a.rank, 1, weights.granularity()}; }

  // How many of the `count` values from k0 on are x's.
  int64_t of_x(int64_t k0, int64_t count) const { return std::clamp<int64_t>(a.k - k0, 0, count); }

  void pack_panel(int64_t column, int64_t k0, int64_t count, float* panel, float* staging) const {
    const int64_t first = of_x(k0, count);
    if (first > 0) weights.pack(column, k0, first, panel, staging);
    if (first < count) ups.pack(column, k0 + first - a.k, count - first, panel + first * kCols, staging);
  }

  Ahead pack_strip(int64_t row, int64_t next, int64_t k0, int64_t count, float* strip) const {
    const int64_t first = of_x(k0, count);
    Ahead ahead{{}, 0};
    if (first > 0) ahead = pack_input(a.x.f32(), a.m, a.k, row, next, k0, first, strip);
    if (first < count)
      pack_input(a.low.f32(), a.m, a.rank, row, next, k0 + first - a.k, count - first, strip + first * kRows);
    return ahead;
  }
};

// low [m, rank] = scale · x·downᵀ.
void multiply_down(const Context& context, const LinearArgs& a) {
  const float* x = a.x.f32();
  float* low = a.low.f32();
  const WeightRows downs{a.down, a.rank, a.k};
  const auto pack_panel = [&](int64_t column, int64_t k0, int64_t count, float* to, float* staging) {
    downs.pack(column, k0, count, to, staging);
  };
  const auto pack_strip = [&](int64_t row, int64_t next, int64_t k0, int64_t count, float* strip) {
    return pack_input(x, a.m, a.k, row, next, k0, count, strip);
  };
  const auto finish = [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
    for (int64_t r = row; r < row + rows; ++r) {
      for (int64_t c = column; c < column + columns; ++c) low[r * a.rank + c] *= a.scale;
    }
  };
  blocked_product(context, a.m, a.rank, {a.k, 1}, low, pack_panel, pack_strip, finish);
}

void run_linear(const Context& context, const LinearArgs& a) {
  if (a.m == 0 || a.n == 0) return;
  if (a.rank > 0) multiply_down(context, a);
  const LinearInner operands{a};
  const auto pack_panel = [&](int64_t column, int64_t k0, int64_t count, float* to, float* staging) {
    operands.pack_panel(column, k0, count, to, staging);
  };
  const auto pack_strip = [&](int64_t row, int64_t next, int64_t k0, int64_t count, float* strip) {
    return operands.pack_strip(row, next, k0, count, strip);
  };
  blocked_product(context, a.m, a.n, operands.inner(), a.out.f32(), pack_panel, pack_strip,
                  Finish{a.out.f32(), a.bias.f32(), a.residual.f32(), a.n, a.act});
}

// Rows of a task of the gated product: its sums, 512 × 2 · 192 floats, lie in L2 beside or instead of the panels.
constexpr int64_t kGatedRows = 512 / kRows * kRows;
constexpr int64_t kGatedColumns = kMaxColumns / 2;

// out [m, n/2] = value · GELU(gate), where value and gate are the halves of x·weightᵀ + bias. A task makes a block of
// the values and the block of gates that belongs to it, side by side in scratch.
void run_linear_geglu(const Context& context, const LinearArgs& a) {
  const int64_t half = a.n / 2;
  if (a.m == 0 || half == 0) return;
  if (a.rank > 0) multiply_down(context, a);
  const float* bias = a.bias.f32();
  float* result = a.out.f32();
  const int64_t columns = std::min(round_up(half, kCols), kGatedColumns), column_blocks = ceil_div(half, columns);
  const int64_t row_blocks =
      std::max(ceil_div(a.m, kGatedRows),
               std::min(ceil_div(a.m, 8 * kRows), ceil_div(kTasksPerThread * context.num_threads(), column_blocks)));
  const int64_t rows_a_block = round_up(ceil_div(a.m, row_blocks), kRows);
  const LinearInner operands{a};
  const Inner inner = operands.inner();
  const int64_t depth = inner.units, slice = inner.slice();
  context.parallel_for(ceil_div(a.m, rows_a_block) * column_blocks, [&](int64_t task) HWY_ATTR {
    const int64_t o0 = task % column_blocks * columns, used = std::min(columns, half - o0);
    const int64_t begin = task / column_blocks * rows_a_block, end = std::min(a.m, begin + rows_a_block);
    const int64_t width = round_up(used, kCols), panel_floats = width * slice;
    float* panels =
        thread_scratch(static_cast<size_t>(2 * panel_floats + rows_a_block * 2 * width + (kCols + kRows) * slice + 64));
    float* sums = panels + 2 * panel_floats;  // [row][value | gate]
    float* staging = sums + rows_a_block * 2 * width;
    float* strip = staging + kCols * slice;
    for (int64_t k0 = 0; k0 < depth; k0 += slice) {
      const int64_t count = std::min(slice, depth - k0);
      for (int64_t panel = 0; panel < width; panel += kCols) {
        operands.pack_panel(o0 + panel, k0, count, panels + panel * count, staging);
        operands.pack_panel(half + o0 + panel, k0, count, panels + (width + panel) * count, staging);
      }
      for (int64_t row = begin; row < end; row += kRows) {
        const Ahead ahead = operands.pack_strip(row, row + kRows < end ? row + kRows : begin, k0, count, strip);
        float* to = sums + (row - begin) * 2 * width;
        multiply_strip(strip, panels, count, to, 2 * width, kRows, 2 * width, k0 > 0, ahead);
        if (k0 + count < depth) continue;
        for (int64_t r = 0; r < std::min<int64_t>(kRows, end - row); ++r) {
          const float *value = to + r * 2 * width, *gate = value + width;
          float* out = result + (row + r) * half + o0;
          for_lanes(used, [&](auto d, int64_t c) HWY_ATTR {
            auto v = hn::LoadU(d, value + c), g = hn::LoadU(d, gate + c);
            if (bias != nullptr) {
              v = hn::Add(v, hn::LoadU(d, bias + o0 + c));
              g = hn::Add(g, hn::LoadU(d, bias + half + o0 + c));
            }
            hn::StoreU(hn::Mul(v, apply_act(d, g, Act::kGelu)), d, out + c);
          });
        }
      }
    }
  });
}

void run_conv(const Context& context, const ConvArgs& a) {
  HWY_ALIGN static constexpr float kZeros[kSlice + 4] = {};  // stands for pixels outside the picture
  const int64_t m = a.batch * a.out_h * a.out_w;
  if (m == 0 || a.out_c == 0) return;
  if (a.kernel_h == 1 && a.kernel_w == 1 && a.stride == 1 && m == a.batch * a.in_h * a.in_w && a.pad == 0) {
    return run_linear(context, {a.x, a.weight, a.bias, a.residual, a.out, m, a.out_c, a.in_c, Act::kNone});
  }
  const int64_t taps = a.kernel_h * a.kernel_w;
  const float* pixels = a.x.f32();
  const WeightRows weights{a.weight, a.out_c, a.in_c * taps};
  const auto pack_panel = [&](int64_t column, int64_t c0, int64_t channels, float* to, float* staging) {
    pack_taps(weights, taps, column, c0, channels, to, staging);
  };
  const auto pack_strip = [&](int64_t row, int64_t, int64_t c0, int64_t channels, float* strip) {
    int64_t top[kRows], left[kRows];
    const float* image[kRows];
    for (int r = 0; r < kRows; ++r) {
      const int64_t pixel = std::min(row + r, m - 1), line = pixel / a.out_w;
      left[r] = pixel % a.out_w * a.stride - a.pad;
      top[r] = line % a.out_h * a.stride - a.pad;
      image[r] = pixels + line / a.out_h * a.in_h * a.in_w * a.in_c + c0;
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
  };
  blocked_product(context, m, a.out_c, {a.in_c, taps, weights.granularity()}, a.out.f32(), pack_panel, pack_strip,
                  Finish{a.out.f32(), a.bias.f32(), a.residual.f32(), a.out_c, Act::kNone});
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

void linear(Context& context, const LinearArgs& args) { HWY_DYNAMIC_DISPATCH(run_linear)(context, args); }
void linear_geglu(Context& context, const LinearArgs& args) { HWY_DYNAMIC_DISPATCH(run_linear_geglu)(context, args); }

void conv2d(Context& context, const ConvArgs& args) {
  const bool wanted = context.convolutions == ConvAlgorithm::kAuto ? winograd_pays(context, args)
                                                                   : context.convolutions == ConvAlgorithm::kWinograd;
  if (wanted && winograd_applies(args)) return winograd_conv(context, args);
  if (few_outputs_apply(args)) return few_outputs_conv(context, args);
  HWY_DYNAMIC_DISPATCH(run_conv)(context, args);
}

const KernelRegistration kLinear(linear_slot, Device::kCpu, f32_only<LinearArgs, linear>);
const KernelRegistration kLinearGeglu(linear_geglu_slot, Device::kCpu, f32_only<LinearArgs, linear_geglu>);
const KernelRegistration kConv(conv2d_slot, Device::kCpu, f32_only<ConvArgs, conv2d>);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
