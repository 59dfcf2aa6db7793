// ControlNet: a copy of the UNet's way down that looks at a picture and adds to the UNet's skips.   (Zhang et al. 2023)
#pragma once

#include <memory>
#include <vector>

#include "models/conditioning.h"
#include "models/context_cache.h"
#include "models/control/control_file.h"
#include "models/unet/block.h"
#include "nn/layers.h"

namespace sumi::models {

class ControlNet : public nn::Module {
 public:
  // `config`: control_config's. `pooled`: see ControlFile.
  explicit ControlNet(const UNetConfig& config, bool pooled = false);

  // The picture to follow, [N,8h,8w,3] in [0, 1], as features [N,h,w,M]: they are the same in every step.
  Tensor encode_hint(const Tensor& hint) const;

  // What the UNet's skips and middle get for x [N,h,w,C] (without concatenated channels): one residual a skip. `hint`:
  // encode_hint's, of one picture or of N. All but the timesteps and the sequence in the type that the run's networks
  // compute in. Throws Error(kData) for shapes that do not fit.
  ControlResiduals operator()(const Tensor& x, const std::vector<double>& timesteps, const Tensor& sequence,
                              const Tensor& hint, ContextCache* cache = nullptr) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  void check(const Tensor& x, const std::vector<double>& timesteps, const Tensor& sequence, const Tensor& hint) const;

  UNetConfig config_;
  bool pooled_;
  nn::Linear time1_, time2_;
  std::vector<nn::Conv2d> hint_;
  std::vector<UNetBlock> blocks_;
  UNetBlock middle_;
  std::vector<nn::Conv2d> zero_convs_;
  nn::Conv2d middle_out_;
};

// Each residual times `weight`; with `soft`, that of skip i of n also times 0.825^(n - i), the middle's not.
void weigh(ControlResiduals& residuals, double weight, bool soft);

// The sums; `a` may be empty.
ControlResiduals add(ControlResiduals a, const ControlResiduals& b);

// Those of a batch with `count` samples before it that get none.
ControlResiduals after_nothing(const ControlResiduals& residuals, int64_t count);

}  // namespace sumi::models
