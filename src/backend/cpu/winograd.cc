// The 3x3 convolution kernel built on winograd-inl.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/winograd.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cstring>

#include "backend/cpu/scratch.h"
#include "backend/cpu/weights-inl.h"
#include "backend/cpu/winograd-inl.h"
#include "backend/cpu/winograd.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kDepth = kWinogradSlice;             // input channels a slice
constexpr int64_t kTiles = 96 / kRows * kRows;         // tiles a task
constexpr int64_t kChunk = kPoints * kTiles * kDepth;  // transformed inputs of a block of tiles and a slice
constexpr int64_t kColumns = kCols < 32 ? 32 : kCols;  // output channels a task: whole panels of kCols

// Inputs are transformed once, for as many blocks of tiles as fill this much of the outer cache, at least one; every
// task on these blocks reads them, at two bytes a cycle and core.
constexpr int64_t kKeptInputs = 8 << 20;

struct Geometry {
  int64_t tiles_y, tiles_x, tiles, tile_blocks, column_blocks, slices;
  int64_t group;  // tile blocks whose inputs are kept at once
};

Geometry geometry(const ConvArgs& a) {
  Geometry g;
  g.tiles_y = ceil_div(a.out_h, 4);
  g.tiles_x = ceil_div(a.out_w, 4);
  g.tiles = a.batch * g.tiles_y * g.tiles_x;
  g.tile_blocks = ceil_div(g.tiles, kTiles);
  g.column_blocks = ceil_div(a.out_c, kColumns);
  g.slices = ceil_div(a.in_c, kDepth);
  const int64_t bytes = kPoints * std::min(g.tiles, kTiles) * a.in_c * static_cast<int64_t>(sizeof(float));
  g.group = std::clamp<int64_t>(kKeptInputs / bytes, 1, g.tile_blocks);
  return g;
}

// Where a task keeps its blocks.
struct Blocks {
  static constexpr int64_t kWeights = kPoints * kDepth * kCols, kSums = kPoints * kTiles * kColumns,
                           kTaps = 9 * kDepth * kCols;
  float* weights = thread_scratch(kWeights + kSums + 2 * kTaps);  // [point][channel][kCols]
  float* sums = weights + kWeights;                               // [panel][point][tile][kCols]
  float* taps = sums + kSums;                                     // [channel][tap][kCols], and as much for widening
};

// Patches of tiles [first, first + count) for channels [c0, c0 + channels).
void transform_inputs(const ConvArgs& a, const Geometry& g, int64_t first, int64_t count, int64_t c0, int64_t channels,
                      float* out) {
  HWY_ALIGN static constexpr float kZeros[kDepth + 16] = {};
  const F32 d;
  const float* pixels = a.x.f32();
  for (int64_t t = 0; t < count; ++t) {
    const int64_t tile = first + t, n = tile / (g.tiles_y * g.tiles_x);
    const int64_t top = tile / g.tiles_x % g.tiles_y * 4 - a.pad, left = tile % g.tiles_x * 4 - a.pad;
    const float* patch[kPoints];
    for (int64_t row = 0; row < 6; ++row) {
      for (int64_t column = 0; column < 6; ++column) {
        const int64_t y = top + row, x = left + column;
        const bool inside = y >= 0 && y < a.in_h && x >= 0 && x < a.in_w;
        patch[row * 6 + column] = inside ? pixels + ((n * a.in_h + y) * a.in_w + x) * a.in_c + c0 : kZeros;
      }
    }
    float* to = out + t * kDepth;
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) transform_patch(d, patch, c, to + c, kTiles * kDepth);
    const hn::FixedTag<float, 1> single;
    for (; c < channels; ++c) transform_patch(single, patch, c, to + c, kTiles * kDepth);
  }
}

// Filters of outputs [o0, o0 + kCols) and input channels [c0, c0 + channels).
void transform_weights(const ConvArgs& a, int64_t o0, int64_t c0, int64_t channels, const Blocks& blocks) {
  const WeightRows rows{a.weight, a.out_c, a.in_c * 9};
  rows.pack(o0, c0 * 9, channels * 9, blocks.taps, blocks.taps + Blocks::kTaps);
  for (int64_t c = 0; c < channels; ++c) {
    for (int v = 0; v < kTileVectors; ++v) {
      transform_filter(blocks.taps + c * 9 * kCols + v * kLanes, blocks.weights + c * kCols + v * kLanes,
                       kDepth * kCols);
    }
  }
}

// Adds bias and residual to the outputs of a block of tiles and writes them.
void write_outputs(const ConvArgs& a, const Geometry& g, const Blocks& blocks, int64_t first, int64_t count, int64_t o0,
                   int64_t panel) {
  const F32 d;
  const float *bias = a.bias.f32(), *residual = a.residual.f32();
  float* out = a.out.f32();
  const int64_t width = std::min<int64_t>(kCols, a.out_c - o0);
  HWY_ALIGN float row_of_panel[kCols];
  for (int64_t t = 0; t < count; ++t) {
    const int64_t tile = first + t, n = tile / (g.tiles_y * g.tiles_x);
    const int64_t top = tile / g.tiles_x % g.tiles_y * 4, left = tile % g.tiles_x * 4;
    const float* sums = blocks.sums + (panel * kPoints * kTiles + t) * kCols;
    hn::Vec<F32> y[kTileVectors][16];
    for (int v = 0; v < kTileVectors; ++v) transform_sums(d, sums + v * kLanes, kTiles * kCols, y[v]);
    for (int64_t i = 0; i < 16; ++i) {
      const int64_t row = top + i / 4, column = left + i % 4;
      if (row >= a.out_h || column >= a.out_w) continue;
      const int64_t at = ((n * a.out_h + row) * a.out_w + column) * a.out_c + o0;
      for (int v = 0; v < kTileVectors; ++v) {
        if ((v + 1) * kLanes <= width) {
          auto value = y[v][i];
          if (bias) value = hn::Add(value, hn::LoadU(d, bias + o0 + v * kLanes));
          if (residual) value = hn::Add(value, hn::LoadU(d, residual + at + v * kLanes));
          hn::StoreU(value, d, out + at + v * kLanes);
          continue;
        }
        hn::StoreU(y[v][i], d, row_of_panel);
        for (int64_t c = v * kLanes; c < width; ++c) {
          out[at + c] =
              row_of_panel[c - v * kLanes] + (bias ? bias[o0 + c] : 0.0f) + (residual ? residual[at + c] : 0.0f);
        }
      }
    }
  }
}

// All input channels of one block of tiles times one block of output channels.
void multiply(const ConvArgs& a, const Geometry& g, const float* inputs, int64_t tile_block, int64_t column_block) {
  const int64_t first = tile_block * kTiles, count = std::min(kTiles, g.tiles - first);
  const int64_t o0 = column_block * kColumns, panels = ceil_div(std::min(kColumns, a.out_c - o0), kCols);
  const Blocks blocks;
  for (int64_t slice = 0; slice < g.slices; ++slice) {
    const int64_t c0 = slice * kDepth, channels = std::min(kDepth, a.in_c - c0);
    for (int64_t panel = 0; panel < panels; ++panel) {
      transform_weights(a, o0 + panel * kCols, c0, channels, blocks);
      for (int64_t point = 0; point < kPoints; ++point) {
        const float* strip = inputs + slice * kChunk + point * kTiles * kDepth;
        const float* weights = blocks.weights + point * kDepth * kCols;
        float* sums = blocks.sums + (panel * kPoints + point) * kTiles * kCols;
        for (int64_t t = 0; t < count; t += kRows) {
          // The next strip, here or at the next point, comes from the outer cache.
          const float* next = strip + (t + kRows < count ? (t + kRows) * kDepth : kTiles * kDepth);
          for (int64_t i = 0; i < kRows * kDepth; i += 16) __builtin_prefetch(next + i, 0, 2);
          tile<kRows, kDepth>(strip + t * kDepth, weights, channels, sums + t * kCols, kCols, slice > 0);
        }
      }
    }
  }
  for (int64_t panel = 0; panel < panels; ++panel) write_outputs(a, g, blocks, first, count, o0 + panel * kCols, panel);
}

void run_winograd(const Context& context, const ConvArgs& a) {
  const Geometry g = geometry(a);
  float* inputs = shared_scratch(static_cast<size_t>(g.group * g.slices * kChunk));
  for (int64_t begin = 0; begin < g.tile_blocks; begin += g.group) {
    const int64_t blocks = std::min(g.group, g.tile_blocks - begin);
    context.parallel_for(blocks * g.slices, [&](int64_t task) {
      const int64_t first = (begin + task / g.slices) * kTiles, c0 = task % g.slices * kDepth;
      transform_inputs(a, g, first, std::min(kTiles, g.tiles - first), c0, std::min(kDepth, a.in_c - c0),
                       inputs + task * kChunk);
    });
    // Threads at work at the same time share a block of tiles.
    context.parallel_for(blocks * g.column_blocks, [&](int64_t task) {
      const int64_t block = task / g.column_blocks;
      multiply(a, g, inputs + block * g.slices * kChunk, begin + block, task % g.column_blocks);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {

HWY_EXPORT(run_winograd);

// Weights are unpacked a slice of channels at a time, which must be whole blocks of a quantised type.
bool winograd_applies(const ConvArgs& a) {
  return a.kernel_h == 3 && a.kernel_w == 3 && a.stride == 1 && kWinogradSlice * 9 % block_of(a.weight.dtype) == 0;
}

bool winograd_pays(const Context& context, const ConvArgs& a) {
  const int64_t samples = context.batch_of_choices > 0 ? context.batch_of_choices : a.batch;
  const int64_t tiles = samples * ((a.out_h + 3) / 4) * ((a.out_w + 3) / 4);
  return a.in_c >= 32 && a.out_c >= 32 && tiles >= 8;
}

void winograd_conv(const Context& context, const ConvArgs& args) { HWY_DYNAMIC_DISPATCH(run_winograd)(context, args); }

}  // namespace sumi::backend::cpu
#endif
