// The autoencoder between pictures and latents.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/autoencoder.h"
#include "models/autoencoder_kl/blocks.h"
#include "models/config.h"

namespace sumi::models {

// One resolution of the encoder or decoder: residual blocks, each with attention if the configuration has it, then a
// change of size.
struct VaeLevel {
  std::vector<std::unique_ptr<VaeResBlock>> blocks;
  std::vector<std::unique_ptr<VaeAttention>> attentions;  // empty, or one a block
  std::optional<nn::Conv2d> resample;

  Tensor run(Tensor h) const;  // the blocks, without the change of size
  Tensor run_and_enlarge(
      Tensor h) const;  // a decoder's level: the blocks, then twice the size if it has an upsampling convolution
  // Of the input of run_and_enlarge, given that of its result (nn/border.h); attention is not counted.
  int64_t border_before(int64_t border) const;
  void visit(nn::ParamVisitor& v, const std::string& name, const char* resample_name);
};

// Picture [N,H,W,3] → moments [N,H/f,W/f,2z].                                      (LDM `Encoder`)
class VaeEncoder : public nn::Module {
 public:
  explicit VaeEncoder(const AutoencoderConfig& config);
  Tensor operator()(const Tensor& image) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::Conv2d conv_in_;
  std::vector<VaeLevel> levels_;
  VaeMiddle middle_;
  nn::GroupNorm norm_out_;
  nn::Conv2d conv_out_;
};

// z [N,h,w,z] → picture [N,f·h,f·w,3].                                             (LDM `Decoder`)
class VaeDecoder : public nn::Module {
 public:
  explicit VaeDecoder(const AutoencoderConfig& config);
  Tensor operator()(const Tensor& z) const;
  // The same in two parts: up to where level `level` begins, and from there on.
  Tensor head(const Tensor& z, size_t level) const;
  Tensor tail(Tensor h, size_t level) const;
  // Pixels around a part of the input of tail() that the result for that part depends on.
  int64_t border(size_t level) const;
  // All but the last layer, and that.
  Tensor features(const Tensor& z) const;
  const nn::Conv2d& last_layer() const { return conv_out_; }
  void visit(nn::ParamVisitor& v) override;

 private:
  nn::Conv2d conv_in_;
  VaeMiddle middle_;
  std::vector<VaeLevel> levels_;  // by resolution, highest first, as the checkpoint numbers them
  nn::GroupNorm norm_out_;
  nn::Conv2d conv_out_;

  Tensor climb(Tensor h, size_t level) const;  // the levels from `level` up
};

// Encoder and decoder with the 1x1 convolutions around the latent.                 (Kingma and Welling 2014; LDM
// `AutoencoderKL`)
class AutoencoderKL : public Autoencoder {
 public:
  explicit AutoencoderKL(const AutoencoderConfig& config);
  bool has_variance() const override { return true; }
  // Picture [N,H,W,3] in [-1, 1] → moments [N,H/f,W/f,2·embed]: mean, then log-variance.
  Tensor encode(const Tensor& image) const override;
  // z [N,h,w,embed] → picture in about [-1, 1]. Not scaled: the caller divides by the scale factor.
  Tensor decode(const Tensor& z) const override;
  // decode() in two parts, for the loss that looks at the last layer's gradient: last_layer()(features(z)).
  Tensor features(const Tensor& z) const;
  const nn::Conv2d& last_layer() const { return decoder_.last_layer(); }
  // The same for a large picture [1,h,w,embed], with the upper levels tile by tile (see plan_tiles). Norms take the
  // statistics of the whole picture at fewer pixels, refined by `passes` passes over the tiles: one pass per norm makes
  // the result exact, no passes approximate. Where the context wraps, tiles at an edge see the opposite one.
  Tensor decode_tiled(const Tensor& z, int64_t budget, int passes) const;
  Tensor decode_tiled(const Tensor& z, int64_t budget) const override { return decode_tiled(z, budget, 0); }
  void visit(nn::ParamVisitor& v) override;

 private:
  VaeEncoder encoder_;
  VaeDecoder decoder_;
  nn::Conv2d quant_, post_quant_;
  AutoencoderConfig config_;
};

}  // namespace sumi::models
