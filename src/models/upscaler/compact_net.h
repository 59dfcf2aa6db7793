// Real-ESRGAN's compact network, for videos and weak machines: a plain row of convolutions.
#pragma once

#include <vector>

#include "models/upscaler/network.h"
#include "nn/layers.h"

namespace sumi::models {

struct CompactConfig {
  int64_t features = 64;
  int64_t convolutions = 32;  // between the first and the last
  int64_t scale = 4;
  bool operator==(const CompactConfig&) const = default;
};

// Adds to the picture, each pixel repeated, what the convolutions make of it.   (Wang et al. 2021; `SRVGGNetCompact`)
class CompactNet : public UpscalerNetwork {
 public:
  explicit CompactNet(const CompactConfig& config);
  Tensor operator()(const Tensor& x, const BetweenSteps& between = {}) const override;
  int64_t scale() const override { return config_.scale; }
  int64_t border() const override;
  int64_t steps() const override { return static_cast<int64_t>(convs_.size()); }
  int64_t peak_bytes(int64_t height, int64_t width) const override;
  void visit(nn::ParamVisitor& v) override;

 private:
  CompactConfig config_;
  std::vector<nn::Conv2d> convs_;
  std::vector<nn::Param> slopes_;  // of the activation behind each but the last
};

}  // namespace sumi::models
