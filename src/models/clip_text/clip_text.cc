#include "models/clip_text/clip_text.h"

#include "ops/elementwise.h"

namespace sumi::models {

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

Tensor ClipText::operator()(const Tensor& ids) const {
  SUMI_CHECK(ids.rank() == 2, "text ids must be [batch, tokens], not {}", ids.shape().str());
  const int64_t batch = ids.dim(0), tokens = ids.dim(1);
  SUMI_CHECK(tokens >= 1 && tokens <= config_.max_positions,
             "{} tokens do not fit the {} positions of this text encoder", tokens, config_.max_positions);
  std::vector<int64_t> positions(static_cast<size_t>(batch * tokens));
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int64_t>(i) % tokens;
  Tensor x = token_(ids) + position_(Tensor::from(positions, {batch, tokens}));
  for (const auto& layer : layers_) x = (*layer)(x);
  return final_norm_(x);
}

void ClipText::visit(nn::ParamVisitor& v) {
  v("embeddings.token_embedding", token_);
  v("embeddings.position_embedding", position_);
  for (size_t i = 0; i < layers_.size(); ++i) v("encoder.layers." + std::to_string(i), *layers_[i]);
  v("final_layer_norm", final_norm_);
}

}  // namespace sumi::models
