#include "models/clip_text/clip_text.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

// The position of the end mark in each row: `mark`, or where it is -1 the first largest id below `rows`.
std::vector<int64_t> end_marks(const Tensor& ids, int64_t mark, int64_t rows) {
  const HostView<int64_t> all(ids);
  const int64_t tokens = ids.dim(1);
  std::vector<int64_t> at;
  for (int64_t n = 0; n < ids.dim(0); ++n) {
    const auto row = all.span().subspan(static_cast<size_t>(n * tokens), static_cast<size_t>(tokens));
    auto found = mark >= 0 ? std::find(row.begin(), row.end(), mark) : row.end();
    if (found == row.end())
      found = std::max_element(row.begin(), row.end(),
                               [&](int64_t a, int64_t b) { return (a < rows ? a : -1) < (b < rows ? b : -1); });
    at.push_back(found - row.begin());
  }
  return at;
}

// The rows of `table` for ids below its size, those of `added` for the others: [B,T,D] float32. Sums of both, of which
// one is times 0, so that a gradient reaches `added`.
Tensor look_up(const nn::Embedding& table, int64_t rows, const Tensor& ids, const std::vector<Tensor>& added) {
  const HostView<int64_t> all(ids);
  if (std::all_of(all.begin(), all.end(), [&](int64_t id) { return id < rows; })) return table(ids);
  const int64_t more = added.empty() ? 0 : added.front().dim(0);
  std::vector<int64_t> own(all.begin(), all.end()), extra(own.size(), 0);
  const int64_t batch = ids.dim(0), tokens = ids.dim(1), width = more > 0 ? added.front().dim(1) : 0;
  Tensor is_own = Tensor::full({batch, tokens, width}, 1.0f), is_extra = Tensor::zeros({batch, tokens, width});
  {
    const HostEdit<float> keep(is_own), take(is_extra);
    for (size_t i = 0; i < own.size(); ++i) {
      if (own[i] < rows) continue;
      SUMI_CHECK(own[i] - rows < more,
                 "the text's id {} stands for no token: the embedding has {} rows, and {} are added", own[i], rows,
                 more);
      extra[i] = own[i] - rows;
      own[i] = 0;
      const auto begin = static_cast<int64_t>(i) * width;
      std::fill(keep.data() + begin, keep.data() + begin + width, 0.0f);
      std::fill(take.data() + begin, take.data() + begin + width, 1.0f);
    }
  }
  const Device device = table.device();
  return mul(table(Tensor::from(own, ids.shape())), is_own.to(device)) +
         mul(embedding(Tensor::from(extra, ids.shape()), added.front().to(device)), is_extra.to(device));
}

}  // namespace

ClipLayer::ClipLayer(const ClipTextConfig& c, bool causal)
    : norm1_(c.hidden_size, c.layer_norm_eps),
      norm2_(c.hidden_size, c.layer_norm_eps),
      q_(c.hidden_size, c.hidden_size),
      k_(c.hidden_size, c.hidden_size),
      v_(c.hidden_size, c.hidden_size),
      out_(c.hidden_size, c.hidden_size),
      fc1_(c.hidden_size, c.intermediate_size),
      fc2_(c.intermediate_size, c.hidden_size),
      heads_(c.heads),
      causal_(causal),
      act_(c.quick_gelu ? Act::kQuickGelu : Act::kGelu) {}

Tensor ClipLayer::operator()(const Tensor& x) const {
  const Tensor h = norm1_(x);
  const Tensor attended = attention(q_(h), k_(h), v_(h), {.heads = heads_, .causal = causal_});
  const Tensor y = out_(attended, {.residual = x});
  return fc2_(fc1_(norm2_(y), {.act = act_}), {.residual = y});
}

void ClipLayer::visit(nn::ParamVisitor& v) {
  v("self_attn.q_proj", q_);
  v("self_attn.k_proj", k_);
  v("self_attn.v_proj", v_);
  v("self_attn.out_proj", out_);
  v("layer_norm1", norm1_);
  v("layer_norm2", norm2_);
  v("mlp.fc1", fc1_);
  v("mlp.fc2", fc2_);
}

ClipText::ClipText(const ClipTextConfig& config)
    : config_(config),
      token_(config.vocab_size, config.hidden_size),
      position_(config.max_positions, config.hidden_size),
      final_norm_(config.hidden_size, config.layer_norm_eps) {
  for (int64_t i = 0; i < config.layers; ++i) layers_.push_back(std::make_unique<ClipLayer>(config));
}

Tensor ClipText::embed(const Tensor& ids, const std::vector<Tensor>& added) const {
  SUMI_CHECK(ids.rank() == 2, "text ids must be [batch, tokens], not {}", ids.shape().str());
  const int64_t batch = ids.dim(0), tokens = ids.dim(1);
  SUMI_CHECK(tokens >= 1 && tokens <= config_.max_positions,
             "{} tokens do not fit the {} positions of this text encoder", tokens, config_.max_positions);
  std::vector<int64_t> positions(static_cast<size_t>(batch * tokens));
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int64_t>(i) % tokens;
  return cast(look_up(token_, config_.vocab_size, ids, added) + position_(Tensor::from(positions, {batch, tokens})),
              Context::current().activations);
}

TextStates ClipText::encode(const Tensor& ids, const TextQuery& query) const {
  SUMI_CHECK_KIND(kUsage, query.skip >= 0 && query.skip <= layers(),
                  "a text encoder of {} layers cannot skip its last {}", layers(), query.skip);
  const auto kept = static_cast<size_t>(layers() - query.skip);
  Tensor x = embed(ids, query.added);
  for (size_t i = 0; i < kept; ++i) x = (*layers_[i])(x);
  TextStates out{.hidden = cast(query.final_norm ? final_norm_(x) : x, DType::kF32)};
  if (!query.pooled) return out;
  for (size_t i = kept; i < layers_.size(); ++i) x = (*layers_[i])(x);
  out.pooled = cast(final_norm_(pick_tokens(x, end_marks(ids, query.end_mark, config_.vocab_size))), DType::kF32);
  return out;
}

Tensor pick_tokens(const Tensor& states, const std::vector<int64_t>& at) {
  std::vector<Tensor> rows;
  for (size_t n = 0; n < at.size(); ++n) {
    const auto row = static_cast<int64_t>(n);
    rows.push_back(states.rows(row, row + 1).reshape({states.dim(1), states.dim(2)}).rows(at[n], at[n] + 1));
  }
  return concat_rows(rows);
}

void ClipText::visit(nn::ParamVisitor& v) {
  v("embeddings.token_embedding", token_);
  v("embeddings.position_embedding", position_);
  for (size_t i = 0; i < layers_.size(); ++i) v("encoder.layers." + std::to_string(i), *layers_[i]);
  v("final_layer_norm", final_norm_);
}

}  // namespace sumi::models
