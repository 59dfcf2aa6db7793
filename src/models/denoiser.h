// The network that a sampler calls: a UNet, or another kind with the same interface.
#pragma once

#include <vector>

#include "models/conditioning.h"
#include "models/context_cache.h"
#include "nn/module.h"

namespace sumi::models {

// Widths of what a denoiser takes; 0 for what it does not.
struct DenoiserInputs {
  int64_t sequence = 0, pooled = 0, added = 0;
};

class Denoiser : public nn::Module {
 public:
  // x [N,H,W,C] float32, timesteps one a sample → the network's output [N,H,W,C_out] (what it means is the model's
  // Prediction). Channels of the conditioning are concatenated to x. With a `cache`, calls with the same sequence
  // compute its keys and values once. Throws Error(kData) for a conditioning that this network cannot use or whose
  // shapes do not fit, Error(kUsage) for sides that it cannot halve.
  Tensor operator()(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning = {},
                    ContextCache* cache = nullptr) const;

  // The parts that a conditioning for this network may have.
  virtual DenoiserInputs wants() const = 0;
  // Whether training computes the activations inside a block again instead of keeping them.
  virtual void set_checkpointing(bool on) = 0;

 protected:
  // The same with `x` complete, and pooled and added vectors of the widths in wants(). All inputs but the sequence have
  // the type that the run's networks compute in (Context::activations), and so has the result.
  virtual Tensor predict(const Tensor& x, const std::vector<double>& timesteps, const Conditioning& conditioning,
                         ContextCache* cache) const = 0;
};

}  // namespace sumi::models
