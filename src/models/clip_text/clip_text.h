// The text half of CLIP: a causal transformer over token ids.
#pragma once

#include <memory>
#include <vector>

#include "models/config.h"
#include "nn/layers.h"

namespace sumi::models {

// One pre-norm transformer layer, of the text half and of the picture half alike.
//   x [B,T,D] → x + attn(ln1(x)), then + mlp(ln2(·))            (Radford et al. 2021; parameter names of transformers)
class ClipLayer : public nn::Module {
 public:
  // `causal`: a token sees none that come after it.
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

// ids [B,T] i64 (T ≤ max_positions), on the host → last hidden state after the final layer norm, [B,T,D].
class ClipText : public nn::Module {
 public:
  explicit ClipText(const ClipTextConfig& config);
  Tensor operator()(const Tensor& ids) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  ClipTextConfig config_;
  nn::Embedding token_, position_;
  std::vector<std::unique_ptr<ClipLayer>> layers_;
  nn::LayerNorm final_norm_;
};

}  // namespace sumi::models
