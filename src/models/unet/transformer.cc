#include "models/unet/transformer.h"

#include "ops/layout.h"

namespace sumi::models {

CrossAttention::CrossAttention(int64_t channels, int64_t context_dim, int64_t heads, int64_t head_dim)
    : q_(channels, heads * head_dim, {.bias = false}),
      k_(context_dim, heads * head_dim, {.bias = false}),
      v_(context_dim, heads * head_dim, {.bias = false}),
      out_(heads * head_dim, channels),
      heads_(heads) {}

Tensor CrossAttention::operator()(const Tensor& x, const Tensor& context, const Tensor& residual,
                                  ContextCache* cache) const {
  ContextCache::KeysValues fresh;
  ContextCache::KeysValues& kv = cache != nullptr && context ? cache->of(this) : fresh;
  if (!kv.keys) kv = project(context ? cast(context, x.dtype()) : x);
  return out_(attention(q_(x), kv.keys, kv.values, {.heads = heads_}), {.residual = residual});
}

void CrossAttention::visit(nn::ParamVisitor& v) {
  v("to_q", q_);
  v("to_k", k_);
  v("to_v", v_);
  v("to_out.0", out_);
}

TransformerBlock::TransformerBlock(int64_t channels, int64_t context_dim, int64_t heads, int64_t head_dim)
    : norm1_(channels),
      norm2_(channels),
      norm3_(channels),
      self_(channels, channels, heads, head_dim),
      cross_(channels, context_dim > 0 ? context_dim : channels, heads, head_dim),
      ff_in_(channels, 8 * channels),
      ff_out_(4 * channels, channels) {}

Tensor TransformerBlock::operator()(const Tensor& x, const LayerInput& c) const {
  Tensor y = self_(norm1_(x), {}, x);
  y = cross_(norm2_(y), c.context, y, c.cache);
  return ff_out_(ff_in_.gated(norm3_(y)), {.residual = y});
}

void TransformerBlock::visit(nn::ParamVisitor& v) {
  v("attn1", self_);
  v("ff.net.0.proj", ff_in_);
  v("ff.net.2", ff_out_);
  v("attn2", cross_);
  v("norm1", norm1_);
  v("norm2", norm2_);
  v("norm3", norm3_);
}

SpatialTransformer::SpatialTransformer(const SpatialTransformerConfig& c)
    : norm_(c.channels, {.groups = c.norm_groups, .eps = 1e-6}),
      proj_in_(c.channels, c.heads * c.head_dim, {.conv_1x1 = !c.linear_projections}),
      proj_out_(c.heads * c.head_dim, c.channels, {.conv_1x1 = !c.linear_projections}) {
  for (int64_t i = 0; i < c.depth; ++i) {
    blocks_.push_back(std::make_unique<TransformerBlock>(c.heads * c.head_dim, c.context_dim, c.heads, c.head_dim));
  }
}

Tensor SpatialTransformer::operator()(const Tensor& x, const LayerInput& c) const {
  const Shape tokens{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
  Tensor h = proj_in_(norm_(x).reshape(tokens));
  for (const auto& block : blocks_) h = (*block)(h, c);
  return proj_out_(h, {.residual = x.reshape(tokens)}).reshape(x.shape());
}

void SpatialTransformer::visit(nn::ParamVisitor& v) {
  v("norm", norm_);
  v("proj_in", proj_in_);
  for (size_t i = 0; i < blocks_.size(); ++i) v("transformer_blocks." + std::to_string(i), *blocks_[i]);
  v("proj_out", proj_out_);
}

AttentionBlock::AttentionBlock(int64_t channels, int64_t heads, int64_t norm_groups)
    : norm_(channels, {.groups = norm_groups, .eps = 1e-5}),
      qkv_weight_{Shape{3 * channels, channels, 1}, {}, true},
      qkv_bias_{Shape{3 * channels}, {}},
      proj_weight_{Shape{channels, channels, 1}, {}, true},
      proj_bias_{Shape{channels}, {}},
      heads_(heads) {}

Tensor AttentionBlock::operator()(const Tensor& x, const LayerInput&) const {
  const int64_t channels = x.dim(3), head_dim = channels / heads_;
  const Tensor h = norm_(x).reshape({x.dim(0), x.dim(1) * x.dim(2), channels});
  // The weight's rows are [head][q k v][head_dim], the original's default order: q, k and v gather theirs head by head.
  auto project = [&](int64_t part) {
    std::vector<Tensor> weights, biases;
    for (int64_t head = 0; head < heads_; ++head) {
      const int64_t begin = (head * 3 + part) * head_dim;
      weights.push_back(qkv_weight_.value.reshape({3 * channels, channels}).rows(begin, begin + head_dim));
      biases.push_back(qkv_bias_.value.rows(begin, begin + head_dim));
    }
    return linear(h, concat_rows(weights), concat_rows(biases));
  };
  const Tensor mixed = attention(project(0), project(1), project(2), {.heads = heads_});
  const Tensor projection = proj_weight_.value.reshape({channels, channels});
  return linear(mixed, projection, proj_bias_.value, {.residual = x.reshape(h.shape())}).reshape(x.shape());
}

void AttentionBlock::visit(nn::ParamVisitor& v) {
  v("norm", norm_);
  v("qkv.weight", qkv_weight_);
  v("qkv.bias", qkv_bias_);
  v("proj_out.weight", proj_weight_);
  v("proj_out.bias", proj_bias_);
}

}  // namespace sumi::models
