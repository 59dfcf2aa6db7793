// Attention with an online softmax, keys down and queries across.
//
// A task owns some panels of kCols queries of one head and walks over the keys block by block. For each panel and block
// it makes the scores Sᵀ [keys][queries], turns them into weights, and adds Vᵀ·weights to the mixed values
// Oᵀ [channels][queries]. This way round
//   - a query is a lane: the largest score and the sum of the weights are vertical operations on whole vectors,
//   - the weights are written as the next product reads them, with no rearrangement between,
//   - channels are rows of the register tile, whose height (12, 10 or 8 of them with AVX-512) divides every common
//     width of a head, where columns would be padded to whole vectors (40 to 48).
// Scores are in units of log2 (the factor goes into the queries as they are packed): a weight is a power of two.
//
// Cycles for 32 queries and one key of d channels, AVX-512, one multiply-add a cycle: 4d for the two products, some 18
// for the weights (2 of them so that NaN stays NaN), 2 for the largest score: 89 % of the peak at 40 channels. Scratch:
// keys and values of a block, packed (kBlockFloats each), queries and mixed values (kPanelFloats each), one panel of
// scores (24 KB, in L1).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cmath>
#include <utility>

#include "backend/cpu/attention-inl.h"
#include "backend/cpu/f32_only.h"
#include "backend/cpu/math-inl.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/tile-inl.h"
#include "hwy/highway.h"
#include "ops/attention.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kBlockFloats = 16384;
constexpr int64_t kPanelFloats = 65536;
constexpr int64_t kMaxBlock = 192;
static_assert(kMaxBlock % kRows == 0);

// Blocking that a head's width alone decides, so that the order of summation depends on nothing else.
struct Plan {
  int64_t dim, height, padded_dim;  // channels of a head; rows of a tile of mixed values; channels in whole tiles
  int64_t block, panels;            // keys a block, panels of queries a task

  explicit Plan(int64_t head_dim) : dim(head_dim), height(tile_height(head_dim)) {
    padded_dim = round_up(dim, height);
    block = std::clamp<int64_t>(kBlockFloats / dim, 4 * kRows, kMaxBlock) / kRows * kRows;
    panels = std::clamp<int64_t>(kPanelFloats / (dim * kCols), 4, 16);
  }
};

struct Work {
  Plan plan;
  float *keys, *values, *queries, *mixed, *scores, *top, *sum;

  static int64_t floats(const Plan& p) {
    return p.block * (p.dim + p.padded_dim + kCols) + p.panels * kCols * (p.dim + p.padded_dim + 2) + 7 * 32;
  }
  Work(float* memory, const Plan& p) : plan(p) {
    const auto take = [&](int64_t count) { return std::exchange(memory, memory + round_up(count + 16, 16)); };
    keys = take(p.block * p.dim);                   // [panel of kRows keys][channel][kRows]
    values = take(p.block * p.padded_dim);          // [tile of channels][key][height]
    queries = take(p.panels * kCols * p.dim);       // [panel][channel][kCols]
    mixed = take(p.panels * kCols * p.padded_dim);  // [panel][channel][kCols]
    scores = take(p.block * kCols);                 // [key][kCols]
    top = take(p.panels * kCols);                   // largest score so far
    sum = take(p.panels * kCols);                   // of the weights so far
  }
};

void pack_keys(const Work& w, const float* k, int64_t stride, int64_t count) {
  for (int64_t panel = 0; panel < count; panel += kRows) {
    const float* rows[kRows];
    for (int j = 0; j < kRows; ++j) rows[j] = k + std::min(panel + j, count - 1) * stride;
    pack_rows<kRows>(rows, w.plan.dim, w.keys + panel * w.plan.dim);
  }
}

void pack_queries(const Work& w, const float* q, int64_t stride, int64_t count, float scale) {
  const F32 d;
  const auto factor = hn::Set(d, scale * 1.44269504f);  // log2(e)
  for (int64_t panel = 0; panel < count; panel += kCols) {
    const float* rows[kCols];
    for (int j = 0; j < kCols; ++j) rows[j] = q + std::min(panel + j, count - 1) * stride;
    float* to = w.queries + panel * w.plan.dim;
    pack_rows<kCols>(rows, w.plan.dim, to);
    for (int64_t i = 0; i < kCols * w.plan.dim; i += kLanes)
      hn::StoreU(hn::Mul(hn::LoadU(d, to + i), factor), d, to + i);
  }
}

// Turns the scores of a panel into weights 2^(score - top), and shrinks what was summed before to the new top.
void soften(const Work& w, int64_t panel, int64_t count) {
  const F32 d;
  for (int v = 0; v < kTileVectors; ++v) {
    float* scores = w.scores + v * kLanes;
    float* top = w.top + panel * kCols + v * kLanes;
    float* sum = w.sum + panel * kCols + v * kLanes;
    const auto before = hn::LoadU(d, top);
    auto high0 = before, high1 = before;
    int64_t j = 0;
    for (; j + 2 <= count; j += 2) {
      high0 = hn::Max(high0, hn::LoadU(d, scores + j * kCols));
      high1 = hn::Max(high1, hn::LoadU(d, scores + (j + 1) * kCols));
    }
    if (j < count) high0 = hn::Max(high0, hn::LoadU(d, scores + j * kCols));
    const auto high = hn::Max(high0, high1);
    const auto weigh = [&](int64_t key) HWY_ATTR {
      const auto weight = exp2_below_one(d, hn::Sub(hn::LoadU(d, scores + key * kCols), high));
      hn::StoreU(weight, d, scores + key * kCols);
      return weight;
    };
    auto total0 = hn::Zero(d), total1 = hn::Zero(d);
    for (j = 0; j + 2 <= count; j += 2) {
      total0 = hn::Add(total0, weigh(j));
      total1 = hn::Add(total1, weigh(j + 1));
    }
    if (j < count) total0 = hn::Add(total0, weigh(j));
    const auto shrink = exp2_below_one(d, hn::Sub(before, high));
    hn::StoreU(high, d, top);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, sum), shrink, hn::Add(total0, total1)), d, sum);
    if (hn::AllTrue(d, hn::Eq(before, high))) continue;
    float* mixed = w.mixed + panel * kCols * w.plan.padded_dim + v * kLanes;
    for (int64_t c = 0; c < w.plan.padded_dim; ++c) {
      hn::StoreU(hn::Mul(hn::LoadU(d, mixed + c * kCols), shrink), d, mixed + c * kCols);
    }
  }
}

// One panel of queries against one packed block of `count` keys and values.
void attend_panel(const Work& w, int64_t panel, int64_t count, bool causal, int64_t first_query, int64_t first_key) {
  const float* queries = w.queries + panel * kCols * w.plan.dim;
  for (int64_t j = 0; j < count; j += kRows) {
    tile<kRows>(w.keys + j * w.plan.dim, queries, w.plan.dim, w.scores + j * kCols, kCols, false);
  }
  if (causal) mask_later_keys(w.scores, count, first_key, first_query);
  soften(w, panel, count);
  multiply_tiles(w.plan.height, w.plan.padded_dim, w.values, w.scores, count,
                 w.mixed + panel * kCols * w.plan.padded_dim);
}

// Divides the mixed values of `count` queries by the sums of their weights and writes them as rows.
void write_panel(const Work& w, int64_t panel, int64_t count, float* out, int64_t stride) {
  const F32 d;
  float* mixed = w.mixed + panel * kCols * w.plan.padded_dim;
  for (int v = 0; v < kTileVectors; ++v) {
    const auto inverse = hn::Div(hn::Set(d, 1.0f), hn::LoadU(d, w.sum + panel * kCols + v * kLanes));
    for (int64_t c = 0; c < w.plan.dim; ++c) {
      float* at = mixed + c * kCols + v * kLanes;
      hn::StoreU(hn::Mul(hn::LoadU(d, at), inverse), d, at);
    }
  }
  write_columns(mixed, w.plan.dim, count, out, stride);
}

// Queries [begin, end) of head (n, h).
void attend(const AttentionArgs& a, const Work& w, int64_t n, int64_t head, int64_t begin, int64_t end) {
  const int64_t stride = a.heads * a.head_dim, panels = ceil_div(end - begin, kCols);
  const int64_t first_row = (n * a.queries + begin) * stride + head * a.head_dim;
  const float *k = a.k.f32(), *v = a.v.f32();
  float* out = a.out.f32() + first_row;
  pack_queries(w, a.q.f32() + first_row, stride, end - begin, a.scale);
  std::fill_n(w.mixed, panels * kCols * w.plan.padded_dim, 0.0f);
  std::fill_n(w.top, panels * kCols, -INFINITY);
  std::fill_n(w.sum, panels * kCols, 0.0f);
  const int64_t last_key = a.causal ? std::min(a.keys, end) : a.keys;
  for (int64_t first = 0; first < last_key; first += w.plan.block) {
    const int64_t count = std::min(w.plan.block, last_key - first);
    const int64_t offset = (n * a.keys + first) * stride + head * a.head_dim;
    pack_keys(w, k + offset, stride, count);
    pack_tiles(v + offset, stride, count, a.head_dim, w.plan.height, w.values);
    for (int64_t p = 0; p < panels; ++p) attend_panel(w, p, count, a.causal, begin + p * kCols, first);
  }
  for (int64_t p = 0; p < panels; ++p) {
    write_panel(w, p, std::min<int64_t>(kCols, end - begin - p * kCols), out + p * kCols * stride, stride);
  }
}

void run_attention(const Context& context, const AttentionArgs& a) {
  const Plan plan(a.head_dim);
  const int64_t queries = plan.panels * kCols, chunks = ceil_div(a.queries, queries);
  context.parallel_for(a.batch * a.heads * chunks, [&](int64_t task) {
    const int64_t head = task / chunks % a.heads, n = task / chunks / a.heads, begin = task % chunks * queries;
    const Work work(thread_scratch(static_cast<size_t>(Work::floats(plan))), plan);
    attend(a, work, n, head, begin, std::min(a.queries, begin + queries));
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_attention);

void attention(Context& context, const AttentionArgs& args) { HWY_DYNAMIC_DISPATCH(run_attention)(context, args); }

const KernelRegistration kAttention(attention_slot, Device::kCpu, f32_only<AttentionArgs, attention>);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
