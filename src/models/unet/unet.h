// The network that predicts the noise.
#pragma once

#include <memory>
#include <vector>

#include "models/config.h"
#include "models/unet/res_block.h"

namespace sumi::models {

// LDM's UNetModel: down with skips, a middle, up with the skips joined.      (Rombach et al. 2022; `openaimodel.py`)
class UNet : public nn::Module {
 public:
  explicit UNet(const UNetConfig& config);
  // x [N,H,W,in], timesteps one a sample, context [N,S,D] or undefined → [N,H,W,out]. Any H and W where
  // convolutions do the halving; else multiples of 2^(levels-1). With a `cache`, calls with the same context compute
  // its keys and values once.
  Tensor operator()(const Tensor& x, const std::vector<double>& timesteps, const Tensor& context,
                    ContextCache* cache = nullptr) const;
  void visit(nn::ParamVisitor& v) override;
  // Whether training computes the activations inside a block again instead of keeping them.
  void set_checkpointing(bool on) { checkpointing_ = on; }

 private:
  using Block = std::vector<std::unique_ptr<UNetLayer>>;  // LDM `TimestepEmbedSequential`

  std::unique_ptr<UNetLayer> make_layer(const LayerPlan& plan) const;
  Block make_block(const BlockPlan& plan) const;
  Tensor run(const Block& block, Tensor h, const Conditioning& c) const;

  UNetConfig config_;
  nn::Linear time1_, time2_;
  std::vector<Block> input_blocks_, output_blocks_;
  Block middle_;
  nn::GroupNorm out_norm_;
  nn::Conv2d out_conv_;
  bool checkpointing_ = false;
};

}  // namespace sumi::models
