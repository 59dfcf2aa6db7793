// The optimizer. (Loshchilov and Hutter 2019; defaults are PyTorch's)
#pragma once

#include "train/parameters.h"

namespace sumi::train {

// The factor that limits gradients of this norm to the norm `clip`; 0: no limit.
inline double clip_scale(double norm, double clip) { return clip > 0.0 && norm > clip ? clip / norm : 1.0; }

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
};

class AdamW {
 public:
  explicit AdamW(const std::vector<NamedTensor>& params, const AdamWOptions& options = {});

  // Updates the parameters in place by their gradients times `grad_scale`, and clears the gradients. A parameter
  // without a gradient is not changed.
  void step(double lr, double grad_scale = 1.0);
  // √Σ g² over all parameters.
  double grad_norm() const;

  // What a checkpoint must keep.
  struct State {
    int64_t steps = 0;
    std::vector<Tensor> first, second;  // one per parameter
  };
  const State& state() const { return state_; }
  // Copies `state` from any device. Throws Error(kData) if its shapes differ from the parameters'.
  void restore(const State& state);

 private:
  std::vector<NamedTensor> params_;
  AdamWOptions options_;
  State state_;
};

}  // namespace sumi::train
