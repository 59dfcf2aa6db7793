#include "ops/matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/layout.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<LinearKernel> linear_slot("linear");

Tensor as_f32(const Tensor& param) {
  if (!param || param.dtype() == DType::kF32) return param;
  return cast(param, DType::kF32);
}

WeightView weight_view(const Tensor& weight) {
  const DType dtype = weight.dtype();
  SUMI_CHECK(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16,
             "weights of type {} cannot be computed with; f32, f16 and bf16 can", name_of(dtype));
  return {weight.raw(), dtype};
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const LinearOptions& options) {
  check_f32("linear", "x", x);
  SUMI_CHECK(weight.rank() >= 2 && x.rank() >= 1 && weight.numel() == weight.dim(0) * weight.dim(1),
             "linear: {} is not a weight matrix", weight.shape().str());
  const int64_t n = weight.dim(0), k = weight.dim(1);
  SUMI_CHECK(x.dim(-1) == k, "linear: the weight {} expects {} channels, x {} has {}", weight.shape().str(), k,
             x.shape().str(), x.dim(-1));
  SUMI_CHECK(!bias || bias.numel() == n, "linear: a bias of {} values for {} outputs", bias.numel(), n);
  Shape shape = x.shape();
  shape[-1] = n;
  SUMI_CHECK(!options.residual || options.residual.shape() == shape, "linear: a residual {} for a result {}",
             options.residual.shape().str(), shape.str());
  const Device device = common_device("linear", {&x, &weight, &bias, &options.residual});
  Tensor out = Tensor::empty(shape, DType::kF32, device);
  const OpScope scope("linear", 2.0 * static_cast<double>(x.numel()) * static_cast<double>(n),
                      [&] { return fmt::format("{}x{} → {}", x.numel() / std::max<int64_t>(k, 1), k, n); });
  const Tensor bias32 = as_f32(bias);
  linear_slot.on(device)({.x = x.data<float>(),
                          .weight = weight_view(weight),
                          .bias = bias32.data<float>(),
                          .residual = options.residual.data<float>(),
                          .out = out.data<float>(),
                          .m = x.numel() / std::max<int64_t>(k, 1),
                          .n = n,
                          .k = k,
                          .act = options.act});
  return out;
}

}  // namespace sumi
