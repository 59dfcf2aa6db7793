// Counts the floating-point work of what runs, as the textbook does it: 2·m·n·k for a product, the same for direct
// convolution whatever algorithm is chosen, 4·T·S·d a head for attention. Norms and elementwise work are not counted.
#pragma once

#include <cstdint>

namespace sumi {

// While one lives, the ops that its thread calls add to it. Scopes nest; each work is counted in the innermost.
class FlopCount {
 public:
  FlopCount() : outer_(t_current) { t_current = this; }
  ~FlopCount() { t_current = outer_; }
  FlopCount(const FlopCount&) = delete;
  FlopCount& operator=(const FlopCount&) = delete;

  double flops() const { return flops_; }
  static void add(double flops) {
    if (t_current != nullptr) t_current->flops_ += flops;
  }

 private:
  static inline thread_local FlopCount* t_current = nullptr;
  FlopCount* outer_;
  double flops_ = 0.0;
};

}  // namespace sumi
