// Shared by attention and its gradient: tiles of a head's channels, and panels of kCols queries or keys beside them.

#if defined(SUMI_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_ATTENTION_INL_H_
#undef SUMI_CPU_ATTENTION_INL_H_
#else
#define SUMI_CPU_ATTENTION_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "backend/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// Heights of the tile whose rows are channels of a head.
constexpr int kHeights[] = {kRows, kRows * 10 / 12, kRows * 8 / 12};

// The one that leaves the fewest rows empty.
inline int64_t tile_height(int64_t dim) {
  int64_t best = kHeights[0];
  for (const int64_t h : kHeights) {
    if (round_up(dim, h) < round_up(dim, best)) best = h;
  }
  return best;
}

// `count` rows of `dim` channels → [tile of channels][row][height], zeros beyond the last channel.
inline void pack_tiles(const float* rows, int64_t stride, int64_t count, int64_t dim, int64_t height, float* to) {
  for (int64_t c = 0; c < dim; c += height) {
    const int64_t used = std::min(height, dim - c);
    for (int64_t j = 0; j < count; ++j, to += height) {
      std::copy_n(rows + j * stride + c, used, to);
      std::fill(to + used, to + height, 0.0f);
    }
  }
}

template <int kHeight>
void multiply_tiles_of(int64_t padded_dim, const float* tiles, const float* panel, int64_t count, float* out) {
  for (int64_t c = 0; c < padded_dim; c += kHeight)
    tile<kHeight>(tiles + c * count, panel, count, out + c * kCols, kCols, true);
}

// out [padded_dim][kCols] += tilesᵀ · panel, for packed tiles of `count` rows and a panel [count][kCols].
inline void multiply_tiles(int64_t height, int64_t padded_dim, const float* tiles, const float* panel, int64_t count,
                           float* out) {
  switch (height) {
    case kHeights[0]: return multiply_tiles_of<kHeights[0]>(padded_dim, tiles, panel, count, out);
    case kHeights[1]: return multiply_tiles_of<kHeights[1]>(padded_dim, tiles, panel, count, out);
    default: return multiply_tiles_of<kHeights[2]>(padded_dim, tiles, panel, count, out);
  }
}

// Hides from query `first_query` + lane the keys after it, in scores [key][kCols].
inline void mask_later_keys(float* scores, int64_t count, int64_t first_key, int64_t first_query) {
  for (int64_t j = 0; j < count; ++j) {
    const int64_t hidden = std::clamp<int64_t>(first_key + j - first_query, 0, kCols);
    std::fill_n(scores + j * kCols, hidden, -INFINITY);
  }
}

// Writes the columns of a panel [dim][kCols] as `count` rows of `dim` channels.
inline void write_columns(const float* panel, int64_t dim, int64_t count, float* out, int64_t stride) {
  int64_t c = 0;
  for (; c + 4 <= dim; c += 4) {
    const float* rows = panel + c * kCols;
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      float* to = out + i * stride + c;
      transpose_4x4(rows + i, rows + kCols + i, rows + 2 * kCols + i, rows + 3 * kCols + i, to, to + stride,
                    to + 2 * stride, to + 3 * stride);
    }
    for (; i < count; ++i) {
      for (int64_t j = 0; j < 4; ++j) out[i * stride + c + j] = rows[j * kCols + i];
    }
  }
  for (; c < dim; ++c) {
    for (int64_t i = 0; i < count; ++i) out[i * stride + c] = panel[c * kCols + i];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
