// Attention with an online softmax: a task owns up to kStrips strips of queries of one head and walks over the keys
// block by block, keeping for each query the largest score so far, the sum of exponentials and the mixed values.
//
// Scratch a task: one block of keys and values, packed (16 K floats each or 64 rows, whichever is more), the queries
// and the mixed values: 400 KB at 40 channels a head, so that all of it stays in a 1 MB L2. Packing a key block costs
// half a cycle a value and serves 16 strips, a hundredth of the multiplication.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cmath>
#include <utility>

#include "backend/cpu/math-inl.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/tile-inl.h"
#include "base/parallel.h"
#include "hwy/highway.h"
#include "ops/attention.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int kStrips = 16;

int64_t round_to(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// Keys a block. Depends on the head's width alone, so that the order of summation does.
int64_t key_block(int64_t head_dim) { return round_to(std::clamp<int64_t>(16384 / head_dim, 64, 256), kCols); }

// The state of one task.
struct Work {
  int64_t dim, padded_dim, block;
  float *keys, *values, *queries, *scores, *weights, *mixed, *top, *sum;

  static int64_t floats(int64_t dim, int64_t padded, int64_t block) {
    return block * (dim + padded) + kStrips * kRows * (dim + padded + 2) + 2 * block * kRows + 64 * 8;
  }
  Work(float* memory, int64_t d, int64_t padded, int64_t b) : dim(d), padded_dim(padded), block(b) {
    const auto take = [&](int64_t count) { return std::exchange(memory, memory + round_to(count + 16, 16)); };
    keys = take(block * dim);
    values = take(block * padded);
    queries = take(kStrips * kRows * dim);
    scores = take(block * kRows);
    weights = take(block * kRows);
    mixed = take(kStrips * kRows * padded);
    top = take(kStrips * kRows);
    sum = take(kStrips * kRows);
  }
};

void pack_keys(const Work& w, const float* k, int64_t stride, int64_t count) {
  for (int64_t panel = 0; panel < count; panel += kCols) {
    const float* rows[kCols];
    for (int j = 0; j < kCols; ++j) rows[j] = k + std::min(panel + j, count - 1) * stride;
    pack_rows<kCols>(rows, w.dim, w.keys + panel * w.dim);
  }
}

// Values into panels of kCols columns, the last one of kLanes where that is enough; columns beyond the head are zero.
void pack_values(const Work& w, const float* v, int64_t stride, int64_t count) {
  for (int64_t panel = 0; panel < w.padded_dim; panel += kCols) {
    const int64_t width = std::min<int64_t>(kCols, w.padded_dim - panel), used = std::min(width, w.dim - panel);
    float* to = w.values + panel * count;
    for (int64_t j = 0; j < count; ++j, to += width) {
      std::copy_n(v + j * stride + panel, used, to);
      std::fill(to + used, to + width, 0.0f);
    }
  }
}

// Turns the scores of one query against `count` keys into weights e^(score - top), and tells by how much what was
// summed before must shrink.
float soften(float* HWY_RESTRICT scores, int64_t count, float& top, float& sum) {
  const F32 d;
  auto highest = hn::Set(d, top);
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) highest = hn::Max(highest, hn::LoadU(d, scores + j));
  float new_top = hn::GetLane(hn::MaxOfLanes(d, highest));
  for (; j < count; ++j) new_top = std::max(new_top, scores[j]);
  const auto offset = hn::Set(d, new_top);
  auto total = hn::Zero(d);
  for (j = 0; j + kLanes <= count; j += kLanes) {
    const auto weight = exp(d, hn::Sub(hn::LoadU(d, scores + j), offset));
    hn::StoreU(weight, d, scores + j);
    total = hn::Add(total, weight);
  }
  float new_sum = hn::GetLane(hn::SumOfLanes(d, total));
  const hn::FixedTag<float, 1> single;
  for (; j < count; ++j) {
    scores[j] = hn::GetLane(exp(single, hn::Set(single, scores[j] - new_top)));
    new_sum += scores[j];
  }
  const float shrink = hn::GetLane(exp(single, hn::Set(single, top - new_top)));
  sum = sum * shrink + new_sum;
  top = new_top;
  return shrink;
}

// One strip of queries against one packed block of keys and values. `first_query` and `first_key` place them for the
// causal mask.
void attend_strip(const Work& w, int64_t strip, int64_t count, bool causal, int64_t first_query, int64_t first_key) {
  for (int64_t panel = 0; panel < count; panel += kCols) {
    tile<kTileVectors>(w.queries + strip * kRows * w.dim, w.keys + panel * w.dim, w.dim, w.scores + panel, w.block,
                       false);
  }
  float* mixed = w.mixed + strip * kRows * w.padded_dim;
  for (int r = 0; r < kRows; ++r) {
    float* scores = w.scores + r * w.block;
    if (causal) {
      const int64_t seen = std::clamp<int64_t>(first_query + r + 1 - first_key, 0, count);
      std::fill(scores + seen, scores + count, -INFINITY);
    }
    const float shrink = soften(scores, count, w.top[strip * kRows + r], w.sum[strip * kRows + r]);
    if (shrink == 1.0f) continue;
    for (int64_t c = 0; c < w.padded_dim; ++c) mixed[r * w.padded_dim + c] *= shrink;
  }
  const float* rows[kRows];
  for (int r = 0; r < kRows; ++r) rows[r] = w.scores + r * w.block;
  pack_rows<kRows>(rows, count, w.weights);
  int64_t panel = 0;
  for (; panel + kCols <= w.padded_dim; panel += kCols) {
    tile<kTileVectors>(w.weights, w.values + panel * count, count, mixed + panel, w.padded_dim, true);
  }
  if (panel < w.padded_dim) tile<1>(w.weights, w.values + panel * count, count, mixed + panel, w.padded_dim, true);
}

// Queries [begin, end) of head (n, h).
void attend(const AttentionArgs& a, const Work& w, int64_t n, int64_t head, int64_t begin, int64_t end) {
  const int64_t stride = a.heads * a.head_dim, strips = (end - begin + kRows - 1) / kRows;
  const float* q = a.q + n * a.queries * stride + head * a.head_dim;
  for (int64_t s = 0; s < strips; ++s) {
    const float* rows[kRows];
    for (int r = 0; r < kRows; ++r) rows[r] = q + std::min(begin + s * kRows + r, end - 1) * stride;
    float* packed = w.queries + s * kRows * w.dim;
    pack_rows<kRows>(rows, w.dim, packed);
  }
  for (int64_t i = 0; i < strips * kRows * w.dim; ++i) w.queries[i] *= a.scale;
  std::fill_n(w.mixed, strips * kRows * w.padded_dim, 0.0f);
  std::fill_n(w.top, strips * kRows, -INFINITY);
  std::fill_n(w.sum, strips * kRows, 0.0f);
  const int64_t last_key = a.causal ? std::min(a.keys, end) : a.keys;
  for (int64_t first = 0; first < last_key; first += w.block) {
    const int64_t count = std::min(w.block, last_key - first),
                  offset = (n * a.keys + first) * stride + head * a.head_dim;
    pack_keys(w, a.k + offset, stride, count);
    pack_values(w, a.v + offset, stride, count);
    for (int64_t s = 0; s < strips; ++s) attend_strip(w, s, count, a.causal, begin + s * kRows, first);
  }
  for (int64_t i = 0; i < end - begin; ++i) {
    float* out = a.out + (n * a.queries + begin + i) * stride + head * a.head_dim;
    const float inverse = 1.0f / w.sum[i];
    for (int64_t c = 0; c < w.dim; ++c) out[c] = w.mixed[i * w.padded_dim + c] * inverse;
  }
}

void run_attention(const AttentionArgs& a) {
  const int64_t padded = round_to(a.head_dim, kLanes), block = key_block(a.head_dim);
  constexpr int64_t kQueries = kStrips * kRows;
  const int64_t chunks = (a.queries + kQueries - 1) / kQueries;
  parallel_for(a.batch * a.heads * chunks, [&](int64_t task) {
    const int64_t head = task / chunks % a.heads, n = task / chunks / a.heads, begin = task % chunks * kQueries;
    const Work work(thread_scratch(static_cast<size_t>(Work::floats(a.head_dim, padded, block))), a.head_dim, padded,
                    block);
    attend(a, work, n, head, begin, std::min(a.queries, begin + kQueries));
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_attention);

void attention(const AttentionArgs& args) { HWY_DYNAMIC_DISPATCH(run_attention)(args); }

const KernelRegistration kAttention(attention_slot, Device::kCpu, attention);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
