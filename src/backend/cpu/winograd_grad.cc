// The gradient of a 3x3 convolution's weight by Winograd's minimal filtering: the transpose of F(4x4, 3x3) in its
// weight.
//
//   dg = Gᵀ [ Σ_tiles (A dY Aᵀ) ⊙ (Bᵀ d B) ] G          (of Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A, winograd-inl.h)
//
// d is a 6x6 patch of the input, dY the 4x4 patch of the gradient above it: 36 products [out_c × tiles]·[tiles × in_c]
// where the direct sum takes 144 multiply-adds a tile, output and input.
//
// In two phases for each group of tiles. First both pictures are transformed, straight into the strips and panels that
// the register tile reads. Then a task takes a block of outputs × inputs, multiplies at all points, transforms the 36
// sums of each pair to its nine taps and adds them to the gradient. What one task holds:
//   sums     36 × kOutputs × kInputs floats                  48 × 64: 442 KB
//   a point  tiles × (kOutputs + kInputs) floats             384 × 112: 172 KB
// in a 1 MB L2; each transformed value comes from the outer cache once a block, 2.6 bytes a cycle.
//
// Cycles a (tile, output, input), AVX-512, one multiply-add a cycle: 36/16; the transforms 9/outputs, 7/inputs and,
// with the scatter to [out][in][tap], about 15/tiles. Sums run over the tiles in one order, whatever the blocks.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/winograd_grad.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cstring>

#include "backend/cpu/scratch.h"
#include "backend/cpu/winograd-inl.h"
#include "backend/cpu/winograd_grad.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kOutputs = 48, kInputs = 64;  // of a task
constexpr int64_t kMostTiles = 384;             // kept at once: a strip of them stays in L1
constexpr int64_t kLeastTiles = 64;             // so that a group's sums outweigh their transform
constexpr int64_t kKept = 8 << 20;              // bytes of transformed pictures, in the outer cache
constexpr int64_t kChunk = 32;                  // tiles a task of the first phase

// A applied to four vectors.
template <class V, class D> HWY_INLINE void pull_transform_1d(D d, V y0, V y1, V y2, V y3, V* HWY_RESTRICT u) {
  const V even = hn::Add(y0, y2), odd = hn::Add(y1, y3);
  const V wide = hn::MulAdd(hn::Set(d, 4.0f), y2, y0),
          far = hn::MulAdd(hn::Set(d, 8.0f), y3, hn::Add(y1, y1));  // 2·y1 + 8·y3
  u[0] = y0;
  u[1] = hn::Add(even, odd);
  u[2] = hn::Sub(even, odd);
  u[3] = hn::Add(wide, far);
  u[4] = hn::Sub(wide, far);
  u[5] = y3;
}

// Gᵀ applied to six vectors.
template <class V, class D>
HWY_INLINE void tap_transform_1d(D d, V m0, V m1, V m2, V m3, V m4, V m5, V* HWY_RESTRICT g) {
  const V sixth = hn::Set(d, 1.0f / 6.0f);
  const V near = hn::Mul(sixth, hn::Add(m1, m2)), wide = hn::Add(m3, m4);
  g[0] = hn::MulAdd(hn::Set(d, 0.25f), m0, hn::NegMulAdd(hn::Set(d, -1.0f / 24.0f), wide, hn::Neg(near)));
  g[1] = hn::MulAdd(sixth, hn::Sub(m2, m1), hn::Mul(hn::Set(d, 1.0f / 12.0f), hn::Sub(m3, m4)));
  g[2] = hn::Add(hn::MulAdd(sixth, wide, m5), hn::Neg(near));
}

// A patch of 4x4 pixels of the gradient, one vector of channels each.
HWY_INLINE void transform_pulls(const float* const* pixels, float* HWY_RESTRICT to, int64_t stride) {
  const F32 d;
  using V = hn::Vec<F32>;
  V half[4][6];
#pragma GCC unroll 4
  for (int row = 0; row < 4; ++row) {
    const float* const* p = pixels + 4 * row;
    pull_transform_1d(d, hn::LoadU(d, p[0]), hn::LoadU(d, p[1]), hn::LoadU(d, p[2]), hn::LoadU(d, p[3]), half[row]);
  }
#pragma GCC unroll 6
  for (int column = 0; column < 6; ++column) {
    V u[6];
    pull_transform_1d(d, half[0][column], half[1][column], half[2][column], half[3][column], u);
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) hn::StoreU(u[row], d, to + (row * 6 + column) * stride);
  }
}

// The 36 sums of a vector of inputs, stride apart, to their nine taps: taps[t·kLanes + lane].
HWY_INLINE void transform_taps(const float* HWY_RESTRICT sums, int64_t stride, float* HWY_RESTRICT taps) {
  const F32 d;
  using V = hn::Vec<F32>;
  V half[3][6];
#pragma GCC unroll 6
  for (int column = 0; column < 6; ++column) {
    V g[3];
    const float* m = sums + column * stride;
    tap_transform_1d(d, hn::LoadU(d, m), hn::LoadU(d, m + 6 * stride), hn::LoadU(d, m + 12 * stride),
                     hn::LoadU(d, m + 18 * stride), hn::LoadU(d, m + 24 * stride), hn::LoadU(d, m + 30 * stride), g);
#pragma GCC unroll 3
    for (int row = 0; row < 3; ++row) half[row][column] = g[row];
  }
#pragma GCC unroll 3
  for (int row = 0; row < 3; ++row) {
    V g[3];
    tap_transform_1d(d, half[row][0], half[row][1], half[row][2], half[row][3], half[row][4], half[row][5], g);
#pragma GCC unroll 3
    for (int column = 0; column < 3; ++column) hn::StoreU(g[column], d, taps + (row * 3 + column) * kLanes);
  }
}

// A picture [n, height, width, channels], read in patches of `side` pixels.
struct Picture {
  const float* pixels;
  int64_t height, width, channels;

  // to[side·side]: the pixels of the patch whose corner is (top, left), from channel `channel` on; `zeros` outside.
  template <int kSide>
  void patch(int64_t n, int64_t top, int64_t left, int64_t channel, const float* zeros, const float** to) const {
    for (int64_t row = 0; row < kSide; ++row) {
      for (int64_t column = 0; column < kSide; ++column) {
        const int64_t y = top + row, x = left + column;
        const bool inside = y >= 0 && y < height && x >= 0 && x < width;
        to[row * kSide + column] = inside ? pixels + ((n * height + y) * width + x) * channels + channel : zeros;
      }
    }
  }
};

class WeightGrad {
 public:
  WeightGrad(const Context& context, const ConvGradWeightArgs& args)
      : context_(context),
        a_(args),
        x_(a_.x.f32()),
        dy_(a_.dy.f32()),
        dweight_(a_.dweight.f32()),
        tiles_y_(ceil_div(a_.out_h, 4)),
        tiles_x_(ceil_div(a_.out_w, 4)),
        tiles_(a_.batch * tiles_y_ * tiles_x_),
        strips_(ceil_div(a_.out_c, kRows)),
        panels_(ceil_div(a_.in_c, kCols)) {
    const int64_t tile_bytes = kPoints * (strips_ * kRows + panels_ * kCols) * static_cast<int64_t>(sizeof(float));
    group_ = std::min(tiles_, std::clamp(round_up(kKept / tile_bytes, kChunk), kLeastTiles, kMostTiles));
    pulls_ = shared_scratch(static_cast<size_t>(group_ * kPoints * (strips_ * kRows + panels_ * kCols)));
    inputs_ = pulls_ + group_ * kPoints * strips_ * kRows;
    strips_a_task_ = even_share(strips_, kOutputs / kRows);
    panels_a_task_ = even_share(panels_, kInputs / kCols);
    // Several cores share even small layers.
    while (strips_a_task_ > 1 && tasks() < 2 * context_.num_threads()) strips_a_task_ = ceil_div(strips_a_task_, 2);
  }

  void run() {
    for (first_ = 0; first_ < tiles_; first_ += group_) {
      count_ = std::min(group_, tiles_ - first_);
      const int64_t chunks = ceil_div(count_, kChunk);
      context_.parallel_for((strips_ + panels_) * chunks, [&](int64_t task) {
        const int64_t part = task / chunks, begin = task % chunks * kChunk, end = std::min(count_, begin + kChunk);
        part < panels_ ? pack_inputs(part, begin, end) : pack_pulls(part - panels_, begin, end);
      });
      context_.parallel_for(tasks(), [&](int64_t task) { multiply(task / panel_blocks(), task % panel_blocks()); });
    }
  }

 private:
  // `count` in blocks of at most `most`, as even as they can be.
  static int64_t even_share(int64_t count, int64_t most) { return ceil_div(count, ceil_div(count, most)); }

  int64_t panel_blocks() const { return ceil_div(panels_, panels_a_task_); }
  int64_t tasks() const { return ceil_div(strips_, strips_a_task_) * panel_blocks(); }

  // What strip `strip` has at point `point`: [tile][kRows]; panel: [tile][kCols].
  float* pulls_at(int64_t strip, int64_t point) const { return pulls_ + (strip * kPoints + point) * group_ * kRows; }
  float* inputs_at(int64_t panel, int64_t point) const { return inputs_ + (panel * kPoints + point) * group_ * kCols; }

  // A vector of a patch that reaches beyond the last channel: the channels it has, then zeros.
  static void cut_off(const float** patch, int64_t pixels, int64_t available, float* memory) {
    for (int64_t i = 0; i < pixels; ++i) {
      float* to = memory + i * kLanes;
      for (int64_t c = 0; c < kLanes; ++c) to[c] = c < available ? patch[i][c] : 0.0f;
      patch[i] = to;
    }
  }

  void pack_inputs(int64_t panel, int64_t begin, int64_t end) const {
    HWY_ALIGN static constexpr float kZeros[kLanes] = {};
    HWY_ALIGN float edge[kPoints * kLanes];
    const F32 d;
    const Picture picture{x_, a_.in_h, a_.in_w, a_.in_c};
    for (int64_t t = begin; t < end; ++t) {
      const int64_t tile = first_ + t, n = tile / (tiles_y_ * tiles_x_);
      const int64_t top = tile / tiles_x_ % tiles_y_ * 4 - a_.pad, left = tile % tiles_x_ * 4 - a_.pad;
      for (int64_t v = 0; v < kTileVectors; ++v) {
        const int64_t channel = panel * kCols + v * kLanes, available = a_.in_c - channel;
        const float* patch[kPoints];
        picture.patch<6>(n, top, left, available > 0 ? channel : 0, kZeros, patch);
        if (available < kLanes) cut_off(patch, kPoints, available, edge);
        transform_patch(d, patch, 0, inputs_at(panel, 0) + t * kCols + v * kLanes, group_ * kCols);
      }
    }
  }

  // Where a strip is not a whole number of vectors, the last one spills into the next tile, which is written after it.
  void pack_pulls(int64_t strip, int64_t begin, int64_t end) const {
    HWY_ALIGN static constexpr float kZeros[kLanes] = {};
    HWY_ALIGN float edge[16 * kLanes], last[kPoints * kLanes];
    const Picture picture{dy_, a_.out_h, a_.out_w, a_.out_c};
    for (int64_t t = begin; t < end; ++t) {
      const int64_t tile = first_ + t, n = tile / (tiles_y_ * tiles_x_);
      const int64_t top = tile / tiles_x_ % tiles_y_ * 4, left = tile % tiles_x_ * 4;
      for (int64_t row = 0; row < kRows; row += kLanes) {
        const int64_t channel = strip * kRows + row, available = a_.out_c - channel;
        const float* pixels[16];
        picture.patch<4>(n, top, left, available > 0 ? channel : 0, kZeros, pixels);
        if (available < kLanes) cut_off(pixels, 16, available, edge);
        float* to = pulls_at(strip, 0) + t * kRows + row;
        const int64_t wanted = std::min<int64_t>(kLanes, kRows - row);
        if (t + 1 < end || wanted == kLanes) {
          transform_pulls(pixels, to, group_ * kRows);
          continue;
        }
        transform_pulls(pixels, last, kLanes);
        for (int64_t p = 0; p < kPoints; ++p)
          std::memcpy(to + p * group_ * kRows, last + p * kLanes, sizeof(float) * static_cast<size_t>(wanted));
      }
    }
  }

  void multiply(int64_t strip_block, int64_t panel_block) const {
    const int64_t strip0 = strip_block * strips_a_task_, strips = std::min(strips_a_task_, strips_ - strip0);
    const int64_t panel0 = panel_block * panels_a_task_, panels = std::min(panels_a_task_, panels_ - panel0);
    const int64_t stride = panels * kCols;
    float* sums = thread_scratch(static_cast<size_t>(kPoints * strips * kRows * stride));
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t panel = 0; panel < panels; ++panel) {
        for (int64_t strip = 0; strip < strips; ++strip) {
          tile<kRows>(pulls_at(strip0 + strip, point), inputs_at(panel0 + panel, point), count_,
                      sums + (point * strips + strip) * kRows * stride + panel * kCols, stride, false);
        }
      }
    }
    const int64_t rows = std::min(strips * kRows, a_.out_c - strip0 * kRows);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < stride; column += kLanes) {
        write_taps(sums + row * stride + column, strips * kRows * stride, strip0 * kRows + row,
                   panel0 * kCols + column);
      }
    }
  }

  void write_taps(const float* sums, int64_t stride, int64_t output, int64_t input) const {
    HWY_ALIGN float taps[9 * kLanes];
    const int64_t inputs = std::min<int64_t>(kLanes, a_.in_c - input);
    if (inputs <= 0) return;
    transform_taps(sums, stride, taps);
    float* to = dweight_ + (output * a_.in_c + input) * 9;
    for (int64_t i = 0; i < inputs; ++i) {
      for (int64_t t = 0; t < 9; ++t) {
        const float value = taps[t * kLanes + i];
        to[i * 9 + t] = first_ == 0 ? value : to[i * 9 + t] + value;
      }
    }
  }

  const Context& context_;
  const ConvGradWeightArgs& a_;
  const float *x_, *dy_;
  float* dweight_;
  int64_t tiles_y_, tiles_x_, tiles_, strips_, panels_, group_ = 0, strips_a_task_ = 0, panels_a_task_ = 0;
  float *pulls_ = nullptr, *inputs_ = nullptr;
  int64_t first_ = 0, count_ = 0;  // the group of tiles at work
};

void run_winograd_grad_weight(const Context& context, const ConvGradWeightArgs& args) {
  WeightGrad(context, args).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {

HWY_EXPORT(run_winograd_grad_weight);

bool winograd_grad_weight_applies(const ConvGradWeightArgs& a) {
  return a.kernel_h == 3 && a.kernel_w == 3 && a.stride == 1 && a.batch * a.out_h * a.out_w > 0;
}

bool winograd_grad_weight_pays(const ConvGradWeightArgs& a) {
  return a.in_c >= 16 && a.out_c >= 16 && a.batch * ((a.out_h + 3) / 4) * ((a.out_w + 3) / 4) >= 4;
}

void winograd_grad_weight(const Context& context, const ConvGradWeightArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_winograd_grad_weight)(context, args);
}

}  // namespace sumi::backend::cpu
#endif
