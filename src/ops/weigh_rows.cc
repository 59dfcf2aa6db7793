#include "ops/weigh_rows.h"

#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<WeighRowsArgs> weigh_rows_slot("weigh_rows");

Tensor weigh_rows(const Tensor& x, const std::vector<float>& weights) {
  check_f32("weigh_rows", "x", x);
  SUMI_CHECK(x.rank() == 2 && x.dim(0) == static_cast<int64_t>(weights.size()), "weigh_rows: {} weights for {}",
             weights.size(), x.shape().str());
  const OpScope scope("weigh_rows", x);
  Tensor out = Tensor::empty(x.shape(), DType::kF32, x.device());
  weigh_rows_slot(
      x.device(),
      {.x = x.view(), .out = out.mutable_view(), .weights = weights, .rows = x.dim(0), .channels = x.dim(1)});
  return out;
}

}  // namespace sumi
