#include "ops/prelu.h"

#include <algorithm>

#include "core/autograd.h"
#include "ops/matmul.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<PreluArgs> prelu_slot("prelu");

Tensor prelu(const Tensor& x, const Tensor& slope) {
  check_activation("prelu", "x", x);
  const int64_t channels = x.dim(-1);
  SUMI_CHECK(slope.numel() == channels, "prelu: {} slopes for {}", slope.numel(), x.shape().str());
  SUMI_CHECK_KIND(kInternal, Tape::recording({&x, &slope}) == nullptr, "prelu: has no gradient");
  const Device device = common_device("prelu", {&x, &slope});
  const OpScope scope("prelu", x);
  const Tensor slope32 = as_f32(slope);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), device);
  prelu_slot(device, {.x = x.view(),
                      .slope = slope32.view(),
                      .out = out.mutable_view(),
                      .rows = x.numel() / std::max<int64_t>(1, channels),
                      .channels = channels});
  return out;
}

}  // namespace sumi
