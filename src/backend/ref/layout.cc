// Kernels that only move elements, pool pixels or change types. The cpu backend runs these too: all go at memory speed,
// and rows are shared among threads.
#include "ops/layout.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/quantized.h"
#include "ops/max_pool.h"

namespace sumi::backend::ref {
namespace {

void strided_copy(Context& context, const StridedCopyArgs& a) {
  const int64_t size = size_of(a.from.dtype);
  const auto* from = static_cast<const std::byte*>(a.from.handle) + a.from.offset;
  auto* to = static_cast<std::byte*>(a.to.handle) + a.to.offset;
  const auto [n, rows, columns, width] = a.sizes;
  const auto length = static_cast<size_t>(width * size);
  // A task copies some 64 KB, in whole runs of the innermost dimension.
  const int64_t runs = n * rows * columns,
                runs_a_task = std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(1, width * size));
  const auto at = [](const std::array<int64_t, 3>& strides, int64_t i, int64_t j, int64_t k) {
    return i * strides[0] + j * strides[1] + k * strides[2];
  };
  context.parallel_for((runs + runs_a_task - 1) / runs_a_task, [&, r = rows, c = columns](int64_t task) {
    for (int64_t run = task * runs_a_task; run < std::min(runs, (task + 1) * runs_a_task); ++run) {
      const int64_t i = run / (r * c), j = run / c % r, k = run % c;
      std::memcpy(to + at(a.to_strides, i, j, k) * size, from + at(a.from_strides, i, j, k) * size, length);
    }
  });
}

// In square blocks that fit a cache line each way.
template <class T> void transpose_elements(Context& context, const TransposeArgs& a) {
  constexpr int64_t kBlock = 16;
  const int64_t blocks = (a.rows + kBlock - 1) / kBlock;
  const T* x = a.x.data<T>();
  T* out = a.out.data<T>();
  context.parallel_for(a.batch * blocks, [&](int64_t task) {
    const int64_t n = task / blocks, i0 = task % blocks * kBlock, i1 = std::min(a.rows, i0 + kBlock);
    const T* from = x + n * a.rows * a.columns;
    T* to = out + n * a.rows * a.columns;
    for (int64_t j0 = 0; j0 < a.columns; j0 += kBlock) {
      for (int64_t j = j0; j < std::min(a.columns, j0 + kBlock); ++j) {
        for (int64_t i = i0; i < i1; ++i) to[j * a.rows + i] = from[i * a.columns + j];
      }
    }
  });
}

void transpose(Context& context, const TransposeArgs& args) {
  switch (size_of(args.x.dtype)) {
    case 1: return transpose_elements<uint8_t>(context, args);
    case 2: return transpose_elements<uint16_t>(context, args);
    case 4: return transpose_elements<uint32_t>(context, args);
    default: return transpose_elements<uint64_t>(context, args);
  }
}

void pick_pixels(Context& context, const ResampleArgs& a) {
  const int64_t pixel = a.channels * size_of(a.x.dtype);
  const auto* x = static_cast<const std::byte*>(a.x.handle) + a.x.offset;
  auto* out = static_cast<std::byte*>(a.out.handle) + a.out.offset;
  context.parallel_for(a.batch * a.out_h, [&](int64_t row) {
    const int64_t line = row / a.out_h * a.in_h + row % a.out_h * a.in_h / a.out_h;
    for (int64_t column = 0; column < a.out_w; ++column) {
      std::memcpy(out + (row * a.out_w + column) * pixel, x + (line * a.in_w + column * a.in_w / a.out_w) * pixel,
                  static_cast<size_t>(pixel));
    }
  });
}

void upsample_nearest_2x(Context& context, const ResampleArgs& a) {
  const int64_t pixel = a.channels * size_of(a.x.dtype);
  const auto* x = static_cast<const std::byte*>(a.x.handle) + a.x.offset;
  auto* out = static_cast<std::byte*>(a.out.handle) + a.out.offset;
  context.parallel_for(a.batch * a.out_h, [&](int64_t row) {
    const std::byte* from = x + (row / a.out_h * a.in_h + row % a.out_h / 2) * a.in_w * pixel;
    std::byte* to = out + row * a.out_w * pixel;
    for (int64_t column = 0; column < a.out_w; ++column)
      std::memcpy(to + column * pixel, from + column / 2 * pixel, static_cast<size_t>(pixel));
  });
}

// Calls f(row of the result, T()) for each row of pixels of the result, in the type of the activations.
template <class F> void for_rows(Context& context, const ResampleArgs& a, const F& f) {
  with_activation_type(a.x.dtype,
                       [&](auto type) { context.parallel_for(a.batch * a.out_h, [&](int64_t row) { f(row, type); }); });
}

void sum_pool_2x2(Context& context, const ResampleArgs& a) {
  for_rows(context, a, [&](int64_t row, auto type) {
    using T = decltype(type);
    const int64_t y = row % a.out_h * 2;
    const T* first = a.x.data<T>() + (row / a.out_h * a.in_h + y) * a.in_w * a.channels;
    std::vector<float> sums(static_cast<size_t>(a.out_w * a.channels));
    for (int64_t dy = 0; dy < std::min<int64_t>(2, a.in_h - y); ++dy) {
      for (int64_t x = 0; x < a.in_w; ++x) {
        const T* from = first + (dy * a.in_w + x) * a.channels;
        float* to = sums.data() + x / 2 * a.channels;
        for (int64_t c = 0; c < a.channels; ++c) to[c] += to_float(from[c]);
      }
    }
    T* out = a.out.data<T>() + row * a.out_w * a.channels;
    for (size_t i = 0; i < sums.size(); ++i) out[i] = narrow_to<T>(sums[i]);
  });
}

void mean_pool_2x2(Context& context, const ResampleArgs& a) {
  for_rows(context, a, [&](int64_t row, auto type) {
    using T = decltype(type);
    const int64_t channels = a.channels;
    const T* above = a.x.data<T>() + (row / a.out_h * a.in_h + row % a.out_h * 2) * a.in_w * channels;
    const T* below = above + a.in_w * channels;
    T* to = a.out.data<T>() + row * a.out_w * channels;
    for (int64_t column = 0; column < a.out_w; ++column, above += 2 * channels, below += 2 * channels, to += channels) {
      for (int64_t c = 0; c < channels; ++c)
        to[c] = narrow_to<T>(0.25f * (to_float(above[c]) + to_float(above[channels + c]) + to_float(below[c]) +
                                      to_float(below[channels + c])));
    }
  });
}

// Positions of the four pixels that give element i of row `row` of the result.
std::array<int64_t, 4> window_of(int64_t row, int64_t i, int64_t in_h, int64_t in_w, int64_t channels) {
  const int64_t height = in_h / 2, first = (row / height * in_h + row % height * 2) * in_w * channels;
  const int64_t a = first + i / channels * 2 * channels + i % channels, below = in_w * channels;
  return {a, a + channels, a + below, a + below + channels};
}

void max_pool_2x2(Context& context, const ResampleArgs& a) {
  for_rows(context, a, [&](int64_t row, auto type) {
    using T = decltype(type);
    const T* from = a.x.data<T>();
    T* to = a.out.data<T>() + row * a.out_w * a.channels;
    for (int64_t i = 0; i < a.out_w * a.channels; ++i) {
      const std::array<int64_t, 4> at = window_of(row, i, a.in_h, a.in_w, a.channels);
      to[i] = narrow_to<T>(std::max(std::max(to_float(from[at[0]]), to_float(from[at[1]])),
                                    std::max(to_float(from[at[2]]), to_float(from[at[3]]))));
    }
  });
}

void max_pool_2x2_grad(Context& context, const MaxPoolGradArgs& a) {
  const int64_t out_h = a.height / 2, out_w = a.width / 2;
  const float *x = a.x.f32(), *dy = a.dy.f32();
  context.parallel_for(a.batch * out_h, [&](int64_t row) {
    for (int64_t i = 0; i < out_w * a.channels; ++i) {
      const std::array<int64_t, 4> at = window_of(row, i, a.height, a.width, a.channels);
      int64_t best = at[0];
      for (const int64_t candidate : at) {
        if (x[candidate] > x[best]) best = candidate;
      }
      a.dx.f32()[best] = dy[row * out_w * a.channels + i];
    }
  });
}

template <class From, class To, class Convert> void convert(Context& context, const CastArgs& a, Convert f) {
  constexpr int64_t kChunk = 1 << 16;
  const From* from = a.x.data<From>();
  To* to = a.out.data<To>();
  context.parallel_for((a.x.count + kChunk - 1) / kChunk, [&](int64_t task) {
    const int64_t end = std::min(a.x.count, (task + 1) * kChunk);
    for (int64_t i = task * kChunk; i < end; ++i) to[i] = f(from[i]);
  });
}

// Block by block, through floats: f(floats, block).
template <class Block, class F> void for_blocks(Context& context, const View& floats, const View& blocks, const F& f) {
  constexpr int64_t kChunk = 1 << 11;
  const int64_t count = floats.count / kQuantBlock;
  auto* values = const_cast<float*>(floats.f32());
  auto* block = const_cast<Block*>(blocks.data<Block>());
  context.parallel_for((count + kChunk - 1) / kChunk, [&](int64_t task) {
    for (int64_t i = task * kChunk; i < std::min(count, (task + 1) * kChunk); ++i)
      f(values + i * kQuantBlock, block[i]);
  });
}

// Any quantised type to floats.
void widen_blocks(Context& context, const CastArgs& a) {
  constexpr int64_t kChunk = 1 << 8;
  const int64_t block = block_of(a.x.dtype), bytes = bytes_of_block(a.x.dtype), count = a.out.count / block;
  const auto* from = a.x.data<uint8_t>();
  float* to = a.out.f32();
  context.parallel_for((count + kChunk - 1) / kChunk, [&](int64_t task) {
    for (int64_t i = task * kChunk; i < std::min(count, (task + 1) * kChunk); ++i)
      dequantize_block(a.x.dtype, from + i * bytes, to + i * block);
  });
}

float of_f8(uint8_t bits, bool e4m3) { return e4m3 ? to_float(Float8E4M3{bits}) : to_float(Float8E5M2{bits}); }

void cast_from_f32(Context& context, const CastArgs& a) {
  switch (a.out.dtype) {
    case DType::kF16: return convert<float, Half>(context, a, [](float v) { return to_half(v); });
    case DType::kBF16: return convert<float, BFloat16>(context, a, [](float v) { return to_bfloat16(v); });
    case DType::kQ8:
      return for_blocks<BlockQ8>(context, a.x, a.out, [](float* v, BlockQ8& block) { block = quantize_q8(v); });
    default: return for_blocks<BlockQ4>(context, a.x, a.out, [](float* v, BlockQ4& block) { block = quantize_q4(v); });
  }
}

void cast(Context& context, const CastArgs& a) {
  switch (a.x.dtype) {
    case DType::kF16: return convert<Half, float>(context, a, [](Half v) { return to_float(v); });
    case DType::kBF16: return convert<BFloat16, float>(context, a, [](BFloat16 v) { return to_float(v); });
    case DType::kF64: return convert<double, float>(context, a, [](double v) { return static_cast<float>(v); });
    case DType::kF8E4M3: return convert<uint8_t, float>(context, a, [](uint8_t v) { return of_f8(v, true); });
    case DType::kF8E5M2: return convert<uint8_t, float>(context, a, [](uint8_t v) { return of_f8(v, false); });
    case DType::kF32: return cast_from_f32(context, a);
    default: return widen_blocks(context, a);
  }
}

const KernelRegistration kStridedCopy(strided_copy_slot, Device::kRef, strided_copy);
const KernelRegistration kTranspose(transpose_slot, Device::kRef, transpose);
const KernelRegistration kPickPixels(pick_pixels_slot, Device::kRef, pick_pixels);
const KernelRegistration kUpsample(upsample_nearest_2x_slot, Device::kRef, upsample_nearest_2x);
const KernelRegistration kSumPool(sum_pool_2x2_slot, Device::kRef, sum_pool_2x2);
const KernelRegistration kMeanPool(mean_pool_2x2_slot, Device::kRef, mean_pool_2x2);
const KernelRegistration kMaxPool(max_pool_2x2_slot, Device::kRef, max_pool_2x2);
const KernelRegistration kMaxPoolGrad(max_pool_2x2_grad_slot, Device::kRef, max_pool_2x2_grad);
const KernelRegistration kCast(cast_slot, Device::kRef, cast);

}  // namespace
}  // namespace sumi::backend::ref
