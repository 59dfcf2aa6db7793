// Attention blocks of the UNet.
#pragma once

#include <memory>
#include <vector>

#include "models/unet/layer.h"

namespace sumi::models {

// Attention of x [N,T,C] to a context [N,S,D] (to itself where the context is undefined).      (LDM `CrossAttention`)
class CrossAttention : public nn::Module {
 public:
  CrossAttention(int64_t channels, int64_t context_dim, int64_t heads, int64_t head_dim);
  // Returns residual + attention. If a `cache` is given, keys and values of the context are kept there.
  Tensor operator()(const Tensor& x, const Tensor& context, const Tensor& residual,
                    ContextCache* cache = nullptr) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  ContextCache::KeysValues project(const Tensor& source) const { return {k_(source), v_(source)}; }

  nn::Linear q_, k_, v_, out_;
  int64_t heads_;
};

// Self-attention, cross-attention and a GEGLU feed-forward, each pre-normed with a skip.  (LDM `BasicTransformerBlock`)
class TransformerBlock : public nn::Module {
 public:
  TransformerBlock(int64_t channels, int64_t context_dim, int64_t heads, int64_t head_dim);
  // x [N,T,C] → [N,T,C].
  Tensor operator()(const Tensor& x, const LayerInput& c) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::LayerNorm norm1_, norm2_, norm3_;
  CrossAttention self_, cross_;
  nn::Linear ff_in_, ff_out_;
};

struct SpatialTransformerConfig {
  int64_t channels, heads, head_dim, depth, context_dim, norm_groups;
  bool linear_projections;  // stored as matrices instead of 1x1 convolutions
};

// Pixels as tokens: norm, project in, transformer blocks, project out, skip.              (LDM `SpatialTransformer`)
class SpatialTransformer : public UNetLayer {
 public:
  explicit SpatialTransformer(const SpatialTransformerConfig& config);
  Tensor operator()(const Tensor& x, const LayerInput& c) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::GroupNorm norm_;
  nn::Linear proj_in_, proj_out_;
  std::vector<std::unique_ptr<TransformerBlock>> blocks_;
};

// Plain self-attention over pixels, for models without context.                            (LDM `AttentionBlock`)
class AttentionBlock : public UNetLayer {
 public:
  AttentionBlock(int64_t channels, int64_t heads, int64_t norm_groups);
  Tensor operator()(const Tensor& x, const LayerInput& c) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::GroupNorm norm_;
  nn::Param qkv_weight_, qkv_bias_, proj_weight_, proj_bias_;
  int64_t heads_;
};

}  // namespace sumi::models
