// The UNet: the denoiser of Stable Diffusion.
#pragma once

#include <memory>
#include <vector>

#include "models/config.h"
#include "models/denoiser.h"
#include "models/unet/block.h"

namespace sumi::models {

// LDM's UNetModel: down with skips, a middle, up with the skips joined.      (Rombach et al. 2022; `openaimodel.py`)
class UNet : public Denoiser {
 public:
  explicit UNet(const UNetConfig& config);
  DenoiserInputs wants() const override { return {.sequence = config_.context_dim}; }
  void visit(nn::ParamVisitor& v) override;
  void set_checkpointing(bool on) override { checkpointing_ = on; }

 protected:
  // Takes any H and W if convolutions do the halving; else multiples of 2^(levels-1).
  Tensor predict(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning,
                 ContextCache* cache) const override;

 private:
  using Block = UNetBlock;

  void check(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& c) const;
  Tensor run(const Block& block, Tensor h, const LayerInput& c) const;

  UNetConfig config_;
  nn::Linear time1_, time2_;
  std::vector<Block> input_blocks_, output_blocks_;
  Block middle_;
  nn::GroupNorm out_norm_;
  nn::Conv2d out_conv_;
  bool checkpointing_ = false;
};

}  // namespace sumi::models
