// Building blocks of the autoencoder. `groups` are those of their norms.
#pragma once

#include <optional>

#include "nn/layers.h"

namespace sumi::models {

inline GroupNormOptions vae_norm(int64_t groups, Act act = Act::kSilu) {
  return {.groups = groups, .eps = 1e-6, .act = act};
}

// Residual block without time.   x [N,H,W,in] → [N,H,W,out]          (LDM `ResnetBlock`, temb_channels 0)
class VaeResBlock : public nn::Module {
 public:
  VaeResBlock(int64_t in, int64_t out, int64_t groups);
  // Takes ownership of x: with a shortcut, the norm reuses its memory.
  Tensor operator()(Tensor x) const;
  int64_t border() const { return conv1_.border() + conv2_.border(); }  // nn/border.h
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::GroupNorm norm1_;
  nn::Conv2d conv1_;
  nn::GroupNorm norm2_;
  nn::Conv2d conv2_;
  std::optional<nn::Conv2d> shortcut_;
};

// Self-attention over pixels with one head.   x [N,H,W,C] → [N,H,W,C]          (LDM `AttnBlock`)
class VaeAttention : public nn::Module {
 public:
  VaeAttention(int64_t channels, int64_t groups);
  Tensor operator()(const Tensor& x) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::GroupNorm norm_;
  nn::Linear q_, k_, v_, out_;
};

// Residual block, attention, residual block: the lowest resolution of encoder and decoder.
class VaeMiddle : public nn::Module {
 public:
  VaeMiddle(int64_t channels, int64_t groups);
  Tensor operator()(Tensor x) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  VaeResBlock block1_;
  VaeAttention attention_;
  VaeResBlock block2_;
};

}  // namespace sumi::models
