#include "ops/norm.h"

#include <utility>

#include "ops/matmul.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<GroupNormKernel> group_norm_slot("group_norm");
constinit KernelSlot<LayerNormKernel> layer_norm_slot("layer_norm");

namespace {

// `out` may be x itself.
void run_group_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options,
                    Tensor& out) {
  const int64_t channels = x.dim(-1);
  const OpScope scope("group_norm", x);
  const Tensor gain32 = as_f32(gain), bias32 = as_f32(bias);
  group_norm_slot.on(x.device())({.x = x.data<float>(),
                                  .gain = gain32.data<float>(),
                                  .bias = bias32.data<float>(),
                                  .out = out.data<float>(),
                                  .batch = x.dim(0),
                                  .pixels = x.dim(0) == 0 ? 0 : x.numel() / (x.dim(0) * channels),
                                  .channels = channels,
                                  .groups = options.groups,
                                  .eps = options.eps,
                                  .act = options.act});
}

void check_group_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options) {
  check_f32("group_norm", "x", x);
  SUMI_CHECK(x.rank() >= 3, "group_norm: x {} needs a batch, pixels and channels", x.shape().str());
  const int64_t channels = x.dim(-1);
  SUMI_CHECK(options.groups > 0 && channels % options.groups == 0, "group_norm: {} channels do not make {} groups",
             channels, options.groups);
  SUMI_CHECK(gain.numel() == channels && bias.numel() == channels, "group_norm: {} gains and {} biases for {} channels",
             gain.numel(), bias.numel(), channels);
  common_device("group_norm", {&x, &gain, &bias});
}

}  // namespace

Tensor group_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options) {
  check_group_norm(x, gain, bias, options);
  Tensor out = Tensor::empty(x.shape(), DType::kF32, x.device());
  run_group_norm(x, gain, bias, options, out);
  return out;
}

Tensor group_norm(Tensor&& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options) {
  if (!x.is_sole_owner()) return group_norm(std::as_const(x), gain, bias, options);
  check_group_norm(x, gain, bias, options);
  run_group_norm(x, gain, bias, options, x);
  return std::move(x);
}

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  check_f32("layer_norm", "x", x);
  const int64_t channels = x.dim(-1);
  SUMI_CHECK(gain.numel() == channels && bias.numel() == channels, "layer_norm: {} gains and {} biases for {} channels",
             gain.numel(), bias.numel(), channels);
  const Device device = common_device("layer_norm", {&x, &gain, &bias});
  const OpScope scope("layer_norm", x);
  Tensor out = Tensor::empty(x.shape(), DType::kF32, device);
  const Tensor gain32 = as_f32(gain), bias32 = as_f32(bias);
  layer_norm_slot.on(device)(x.data<float>(), gain32.data<float>(), bias32.data<float>(), out.data<float>(),
                             x.numel() / channels, channels, eps);
  return out;
}

}  // namespace sumi
