// The gradient of attention.
//
// A task owns one head of one sample, so that the sums over queries have one order. It walks over panels of kCols
// queries; for each it makes the scores again against all keys, Sᵀ [keys][queries], their softmax Pᵀ, and the gradient
// that reaches the weights, dPᵀ = V·dOᵀ. With D = Σ_keys P∘dP (which is dO·O), dS = scale·P∘(dP - D), and
//   dQᵀ [channels][queries]  = Kᵀ·dSᵀ        dKᵀ [channels][keys] += Qᵀ·dS        dVᵀ [channels][keys] += dOᵀ·P
// As in the forward pass, queries or keys are lanes, and channels are the rows of the register tile.
//
// Work: five products of queries × keys × channels, and for each score one exponential and two transpositions (half a
// cycle each, against a sixteenth of 5 · channels). Scratch: keys and values packed twice and once, their gradients,
// and two panels of scores: 4.3 MB for 4096 keys of 40 channels.   (Dao et al. 2022, Alg. 4, without its loop over
// keys)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention_grad.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cmath>
#include <utility>

#include "backend/cpu/attention-inl.h"
#include "backend/cpu/math-inl.h"
#include "backend/cpu/scratch.h"
#include "hwy/highway.h"
#include "ops/attention.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

class HeadGrad {
 public:
  HeadGrad(const AttentionGradArgs& args, int64_t n, int64_t head)
      : a_(args.forward),
        q_(a_.q.f32()),
        k_(a_.k.f32()),
        v_(a_.v.f32()),
        dout_(args.dout.f32()),
        dq_out_(args.dq.f32()),
        dk_out_(args.dk.f32()),
        dv_out_(args.dv.f32()),
        n_(n),
        head_(head),
        height_(tile_height(a_.head_dim)),
        padded_dim_(round_up(a_.head_dim, height_)),
        padded_keys_(round_up(a_.keys, kCols)) {
    int64_t floats = 0;
    lay_out([&](float*& block, int64_t count) {
      block = nullptr;
      floats += round_up(count + 16, 16);
    });
    float* memory = thread_scratch(static_cast<size_t>(floats));
    lay_out([&](float*& block, int64_t count) { block = std::exchange(memory, memory + round_up(count + 16, 16)); });
  }

  void run() {
    pack_strips(k_, key_strips_);
    pack_strips(v_, value_strips_);
    pack_tiles(k_ + row_of(a_.keys, 0), stride(), a_.keys, a_.head_dim, height_, key_tiles_);
    std::fill_n(dk_, padded_keys_ * padded_dim_, 0.0f);
    std::fill_n(dv_, padded_keys_ * padded_dim_, 0.0f);
    std::fill_n(weights_, (padded_keys_ + kRows) * kCols, 0.0f);
    std::fill_n(scores_, (padded_keys_ + kRows) * kCols, 0.0f);
    for (int64_t first = 0; first < a_.queries; first += kCols)
      panel(first, std::min<int64_t>(kCols, a_.queries - first));
    for (int64_t key = 0; key < a_.keys; key += kCols) {
      const int64_t count = std::min<int64_t>(kCols, a_.keys - key), at = row_of(a_.keys, key);
      write_columns(dk_ + key * padded_dim_, a_.head_dim, count, dk_out_ + at, stride());
      write_columns(dv_ + key * padded_dim_, a_.head_dim, count, dv_out_ + at, stride());
    }
  }

 private:
  template <class Take> void lay_out(const Take& take) {
    take(key_strips_, round_up(a_.keys, kRows) * a_.head_dim);    // [strip of kRows keys][channel][kRows]
    take(value_strips_, round_up(a_.keys, kRows) * a_.head_dim);  // the same
    take(key_tiles_, a_.keys * padded_dim_);                      // [tile of channels][key][height]
    take(dk_, padded_keys_ * padded_dim_);                        // [panel of keys][channel][kCols]
    take(dv_, padded_keys_ * padded_dim_);
    take(weights_, (padded_keys_ + kRows) * kCols);  // [key][query]
    take(scores_, (padded_keys_ + kRows) * kCols);   // gradients of the scores, [key][query]
    take(queries_, kCols * a_.head_dim);             // [channel][query], in units of log2
    take(pulls_, kCols * a_.head_dim);               // gradient of the output, [channel][query]
    take(query_tiles_, kCols * padded_dim_);         // [tile of channels][query][height]
    take(pull_tiles_, kCols * padded_dim_);
    take(dq_, padded_dim_ * kCols);  // [channel][query]
    take(turned_, kCols * kCols);    // [query][key]
  }

  int64_t stride() const { return a_.heads * a_.head_dim; }
  int64_t row_of(int64_t tokens, int64_t token) const { return (n_ * tokens + token) * stride() + head_ * a_.head_dim; }

  void pack_strips(const float* from, float* to) const {
    for (int64_t key = 0; key < a_.keys; key += kRows) {
      const float* rows[kRows];
      for (int j = 0; j < kRows; ++j) rows[j] = from + row_of(a_.keys, std::min(key + j, a_.keys - 1));
      pack_rows<kRows>(rows, a_.head_dim, to + key * a_.head_dim);
    }
  }

  // out [key][query] = strips · panel
  void multiply_strips(const float* strips, const float* panel, float* out) const {
    for (int64_t key = 0; key < a_.keys; key += kRows)
      tile<kRows>(strips + key * a_.head_dim, panel, a_.head_dim, out + key * kCols, kCols, false);
  }

  // `count` rows from `from` on: [channel][row], and tiles of channels. Beyond the last row, the first repeats it and
  // the second holds zeros.
  void pack_panel(const float* from, int64_t count, float* panel, float* tiles) const {
    const float* rows[kCols];
    for (int j = 0; j < kCols; ++j) rows[j] = from + std::min<int64_t>(j, count - 1) * stride();
    pack_rows<kCols>(rows, a_.head_dim, panel);
    pack_tiles(from, stride(), count, a_.head_dim, height_, tiles);
  }

  void panel(int64_t first, int64_t count) {
    const int64_t at = row_of(a_.queries, first), padded_keys = round_up(a_.keys, kRows);
    pack_panel(q_ + at, count, queries_, query_tiles_);
    pack_panel(dout_ + at, count, pulls_, pull_tiles_);
    const F32 d;
    for (int64_t i = 0; i < kCols * a_.head_dim; i += kLanes)
      hn::StoreU(hn::Mul(hn::LoadU(d, queries_ + i), hn::Set(d, a_.scale * 1.44269504f)), d, queries_ + i);
    multiply_strips(key_strips_, queries_, weights_);
    if (a_.causal) mask_later_keys(weights_, a_.keys, 0, first);
    multiply_strips(value_strips_, pulls_, scores_);
    for (int v = 0; v < kTileVectors; ++v) soften(v * kLanes);
    // Clears what the strips wrote beyond the last key.
    std::fill_n(weights_ + a_.keys * kCols, (padded_keys - a_.keys) * kCols, 0.0f);
    std::fill_n(scores_ + a_.keys * kCols, (padded_keys - a_.keys) * kCols, 0.0f);
    std::fill_n(dq_, padded_dim_ * kCols, 0.0f);
    multiply_tiles(height_, padded_dim_, key_tiles_, scores_, a_.keys, dq_);
    write_columns(dq_, a_.head_dim, count, dq_out_ + at, stride());
    for (int64_t key = 0; key < a_.keys; key += kCols) {
      add_to(dk_ + key * padded_dim_, scores_ + key * kCols, query_tiles_, count);
      add_to(dv_ + key * padded_dim_, weights_ + key * kCols, pull_tiles_, count);
    }
  }

  // sums [channel][key] += tilesᵀ · values, with the values [key][query] of a panel of keys turned to [query][key].
  void add_to(float* sums, const float* values, const float* tiles, int64_t queries) const {
    const float* rows[kCols];
    for (int j = 0; j < kCols; ++j) rows[j] = values + j * kCols;
    pack_rows<kCols>(rows, queries, turned_);
    multiply_tiles(height_, padded_dim_, tiles, turned_, queries, sums);
  }

  // For a vector of queries: scores into weights, gradients of the weights into gradients of the scores.
  void soften(int64_t lane) const {
    const F32 d;
    float *weights = weights_ + lane, *scores = scores_ + lane;
    auto top = hn::Set(d, -INFINITY);
    for (int64_t j = 0; j < a_.keys; ++j) top = hn::Max(top, hn::LoadU(d, weights + j * kCols));
    auto sum = hn::Zero(d), mean = hn::Zero(d);
    for (int64_t j = 0; j < a_.keys; ++j) {
      const auto weight = exp2_below_one(d, hn::Sub(hn::LoadU(d, weights + j * kCols), top));
      hn::StoreU(weight, d, weights + j * kCols);
      sum = hn::Add(sum, weight);
      mean = hn::MulAdd(weight, hn::LoadU(d, scores + j * kCols), mean);
    }
    const auto inverse = hn::Div(hn::Set(d, 1.0f), sum), scale = hn::Set(d, a_.scale);
    mean = hn::Mul(mean, inverse);
    for (int64_t j = 0; j < a_.keys; ++j) {
      const auto weight = hn::Mul(hn::LoadU(d, weights + j * kCols), inverse);
      hn::StoreU(weight, d, weights + j * kCols);
      const auto off = hn::Sub(hn::LoadU(d, scores + j * kCols), mean);
      hn::StoreU(hn::Mul(hn::Mul(weight, scale), off), d, scores + j * kCols);
    }
  }

  const AttentionArgs& a_;
  const float *q_, *k_, *v_, *dout_;
  float *dq_out_, *dk_out_, *dv_out_;
  int64_t n_, head_, height_, padded_dim_, padded_keys_;
  float *key_strips_, *value_strips_, *key_tiles_, *dk_, *dv_, *weights_, *scores_, *queries_, *pulls_, *query_tiles_,
      *pull_tiles_, *dq_, *turned_;
};

void run_attention_grad(const Context& context, const AttentionGradArgs& args) {
  const AttentionArgs& a = args.forward;
  context.parallel_for(a.batch * a.heads, [&](int64_t task) { HeadGrad(args, task / a.heads, task % a.heads).run(); });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_attention_grad);

void attention_grad(Context& context, const AttentionGradArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_attention_grad)(context, args);
}

const KernelRegistration kAttentionGrad(attention_grad_slot, Device::kCpu, attention_grad);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
