// What the networks that enlarge pictures have in common.
#pragma once

#include <functional>

#include "nn/module.h"

namespace sumi::models {

class UpscalerNetwork : public nn::Module {
 public:
  // Called between the steps of a pass; throwing ends it.
  using BetweenSteps = std::function<void()>;

  // x [N,H,W,3] in [0, 1] → [N,s·H,s·W,3], not clamped, in float32; H and W are multiples of multiple().
  virtual Tensor operator()(const Tensor& x, const BetweenSteps& between = {}) const = 0;
  virtual int64_t scale() const = 0;
  virtual int64_t multiple() const { return 1; }
  // Pixels around a part of x that the result for that part depends on, a multiple of multiple() (nn/border.h).
  virtual int64_t border() const = 0;
  // Calls of BetweenSteps in a pass, about equally far apart.
  virtual int64_t steps() const = 0;
  // The largest sum of live activations while it runs on x [1,height,width,3], x not counted.
  virtual int64_t peak_bytes(int64_t height, int64_t width) const = 0;
};

}  // namespace sumi::models
