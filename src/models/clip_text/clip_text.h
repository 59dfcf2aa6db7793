// The text half of CLIP: a causal transformer over token ids.
#pragma once

#include <memory>
#include <vector>

#include "models/config.h"
#include "models/text_encoder.h"
#include "nn/layers.h"

namespace sumi::models {

// One pre-norm transformer layer, in both the text half and the picture half.
//   x [B,T,D] → x + attn(ln1(x)), then + mlp(ln2(·))            (Radford et al. 2021; parameter names of transformers)
class ClipLayer : public nn::Module {
 public:
  // `causal`: a token does not attend to later ones.
  explicit ClipLayer(const ClipTextConfig& config, bool causal = true);
  Tensor operator()(const Tensor& x) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::LayerNorm norm1_, norm2_;
  nn::Linear q_, k_, v_, out_, fc1_, fc2_;
  int64_t heads_;
  bool causal_;
  Act act_;
};

// Stable Diffusion 1 and 2 use states after the final layer norm (2: with skip 1). The pooled vector is the last
// layer's, normed, at each text's end mark: the first of its largest ids, as CLIP finds it.
class ClipText : public TextEncoder {
 public:
  explicit ClipText(const ClipTextConfig& config);
  TextStates encode(const Tensor& ids, const TextQuery& query) const override;
  int64_t layers() const override { return config_.layers; }
  void visit(nn::ParamVisitor& v) override;

 private:
  Tensor embed(const Tensor& ids, const std::vector<Tensor>& added) const;

  ClipTextConfig config_;
  nn::Embedding token_, position_;
  std::vector<std::unique_ptr<ClipLayer>> layers_;
  nn::LayerNorm final_norm_;
};

// Row n's token at[n] of states [B,T,D] → [B,D].
Tensor pick_tokens(const Tensor& states, const std::vector<int64_t>& at);

}  // namespace sumi::models
