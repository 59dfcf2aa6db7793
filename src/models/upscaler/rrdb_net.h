// ESRGAN's network, which Real-ESRGAN kept.
#pragma once

#include <memory>
#include <vector>

#include "models/upscaler/network.h"
#include "nn/layers.h"

namespace sumi::models {

struct RrdbConfig {
  int64_t features = 64, blocks = 23, growth = 32;
  int64_t unshuffle = 1;    // pixels of a side that become channels before the first layer: 1, 2 or 4
  int64_t upsamplings = 2;  // doublings behind the blocks
  int64_t scale() const { return (int64_t{1} << upsamplings) / unshuffle; }
  bool operator==(const RrdbConfig&) const = default;
};

// Five convolutions, each of all that came before it.   x [N,H,W,F] → [N,H,W,F]        (BasicSR `ResidualDenseBlock`)
class DenseBlock : public nn::Module {
 public:
  DenseBlock(int64_t features, int64_t growth);
  Tensor operator()(const Tensor& x) const;
  int64_t border() const;
  void visit(nn::ParamVisitor& v) override;

 private:
  std::vector<nn::Conv2d> convs_;
};

// Three of them.   x [N,H,W,F] → [N,H,W,F]                                                          (BasicSR `RRDB`)
class RrdbBlock : public nn::Module {
 public:
  explicit RrdbBlock(const RrdbConfig& config);
  Tensor operator()(const Tensor& x) const;
  int64_t border() const;
  void visit(nn::ParamVisitor& v) override;

 private:
  std::vector<DenseBlock> blocks_;
};

// (Wang et al. 2018, "ESRGAN"; Wang et al. 2021, "Real-ESRGAN"; BasicSR `RRDBNet`, whose names the parameters have)
class RrdbNet : public UpscalerNetwork {
 public:
  explicit RrdbNet(const RrdbConfig& config);
  Tensor operator()(const Tensor& x, const BetweenSteps& between = {}) const override;
  int64_t scale() const override { return config_.scale(); }
  int64_t multiple() const override { return config_.unshuffle; }
  int64_t border() const override;
  int64_t steps() const override { return config_.blocks + config_.upsamplings; }
  int64_t peak_bytes(int64_t height, int64_t width) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  RrdbConfig config_;
  nn::Conv2d conv_first_;
  std::vector<std::unique_ptr<RrdbBlock>> body_;
  nn::Conv2d conv_body_;
  std::vector<nn::Conv2d> conv_up_;
  nn::Conv2d conv_hr_, conv_last_;

  Tensor features(const Tensor& x, const BetweenSteps& between) const;
};

}  // namespace sumi::models
