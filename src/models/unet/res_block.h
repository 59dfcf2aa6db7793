// The UNet's convolutional blocks.
#pragma once

#include <optional>

#include "models/unet/layer.h"
#include "models/unet/topology.h"

namespace sumi::models {

// UNet residual block: two 3x3 convolutions with the timestep embedding added between them.
//   x [N,H,W,in]   emb [N,time]   returns [N,H',W',out]          (Ho et al. 2020, App. B; LDM `ResBlock`)
// With `scale_shift` the embedding gives a scale and a shift after the second norm instead (Dhariwal and Nichol 2021).
class ResBlock : public UNetLayer {
 public:
  struct Config {
    int64_t in, out, time, norm_groups;
    bool scale_shift = false;
    Resample resample = Resample::kNone;  // inside the block, between norm and convolution
  };
  explicit ResBlock(const Config& config);
  Tensor operator()(const Tensor& x, const LayerInput& c) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  Tensor scale_shift_norm(const Tensor& h, const Tensor& emb) const;

  Config config_;
  nn::GroupNorm norm1_;
  nn::Conv2d conv1_;
  nn::Linear emb_;
  nn::Param norm2_gain_, norm2_bias_;
  nn::Conv2d conv2_;
  std::optional<nn::Conv2d> skip_;
};

// A plain 3x3 convolution (the UNet's first layer).
class ConvLayer : public UNetLayer {
 public:
  ConvLayer(int64_t in, int64_t out) : conv_(in, out, {.kernel = 3, .pad_begin = 1}) {}
  Tensor operator()(const Tensor& x, const LayerInput&) const override { return conv_(x); }
  void visit(nn::ParamVisitor& v) override { v("", conv_); }

 private:
  nn::Conv2d conv_;
};

// LDM `Downsample` (3x3, stride 2; parameter "op") and `Upsample` (nearest, then 3x3; "conv").
class ResampleLayer : public UNetLayer {
 public:
  ResampleLayer(int64_t channels, Resample direction, bool with_conv);
  Tensor operator()(const Tensor& x, const LayerInput& c) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  Resample direction_;
  std::optional<nn::Conv2d> conv_;
};

}  // namespace sumi::models
