#include "ops/norm.h"

#include <algorithm>
#include <utility>

#include "core/autograd.h"
#include "ops/matmul.h"
#include "ops/op_check.h"
#include "ops/profile.h"
#include "ops/tiled_norms.h"

namespace sumi {

constinit KernelSlot<GroupNormArgs> group_norm_slot("group_norm");
constinit KernelSlot<LayerNormArgs> layer_norm_slot("layer_norm");
constinit KernelSlot<GroupNormGradArgs> group_norm_grad_slot("group_norm_grad");
constinit KernelSlot<LayerNormGradArgs> layer_norm_grad_slot("layer_norm_grad");
constinit KernelSlot<GroupSumsArgs> group_sums_slot("group_sums");

namespace {

GroupNormArgs group_norm_args(const Tensor& x, const Tensor& gain32, const Tensor& bias32,
                              const GroupNormOptions& options) {
  const int64_t channels = x.dim(-1);
  return {.x = x.view(),
          .gain = gain32.view(),
          .bias = bias32.view(),
          .out = {},
          .batch = x.dim(0),
          .pixels = x.dim(0) == 0 ? 0 : x.numel() / std::max<int64_t>(1, x.dim(0) * channels),
          .channels = channels,
          .groups = options.groups,
          .eps = options.eps,
          .act = options.act};
}

// `out` may be x itself.
void run_group_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options,
                    Tensor& out) {
  const OpScope scope("group_norm", x);
  const Tensor gain32 = as_f32(gain), bias32 = as_f32(bias);
  GroupNormArgs args = group_norm_args(x, gain32, bias32, options);
  args.out = out.mutable_view();
  Tensor statistics;
  if (TiledNorms* tiles = Context::current().tiled_norms) statistics = tiles->next(x, options.groups);
  args.statistics = statistics.view();
  group_norm_slot(x.device(), args);
}

void group_norm_backward(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options,
                         const Tensor& grad) {
  const OpScope scope("group_norm_grad", x);
  const Tensor gain32 = as_f32(gain), bias32 = as_f32(bias);
  Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
  Tensor dgain = Tensor::empty(gain.shape(), DType::kF32, x.device()),
         dbias = Tensor::empty(bias.shape(), DType::kF32, x.device());
  group_norm_grad_slot(x.device(), {.forward = group_norm_args(x, gain32, bias32, options),
                                    .dy = grad.view(),
                                    .dx = dx.mutable_view(),
                                    .dgain = dgain.mutable_view(),
                                    .dbias = dbias.mutable_view()});
  add_grad(x, dx);
  add_grad(gain, dgain);
  add_grad(bias, dbias);
}

void layer_norm_backward(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps, const Tensor& grad) {
  const OpScope scope("layer_norm_grad", x);
  const Tensor gain32 = as_f32(gain);
  const int64_t channels = x.dim(-1);
  Tensor dx = Tensor::empty(x.shape(), DType::kF32, x.device());
  Tensor dgain = Tensor::empty(gain.shape(), DType::kF32, x.device()),
         dbias = Tensor::empty(bias.shape(), DType::kF32, x.device());
  layer_norm_grad_slot(x.device(), {.x = x.view(),
                                    .gain = gain32.view(),
                                    .dy = grad.view(),
                                    .dx = dx.mutable_view(),
                                    .dgain = dgain.mutable_view(),
                                    .dbias = dbias.mutable_view(),
                                    .rows = x.numel() / std::max<int64_t>(1, channels),
                                    .channels = channels,
                                    .eps = eps});
  add_grad(x, dx);
  add_grad(gain, dgain);
  add_grad(bias, dbias);
}

void check_group_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options) {
  check_activation("group_norm", "x", x);
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
  Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  run_group_norm(x, gain, bias, options, out);
  if (Tape* tape = Tape::recording({&x, &gain, &bias})) {
    tape->record(out, [=](const Tensor& grad) { group_norm_backward(x, gain, bias, options, grad); });
  }
  return out;
}

Tensor group_norm(Tensor&& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options) {
  if (!x.is_sole_owner() || Tape::recording({&x, &gain, &bias}))
    return group_norm(std::as_const(x), gain, bias, options);
  check_group_norm(x, gain, bias, options);
  run_group_norm(x, gain, bias, options, x);
  return std::move(x);
}

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  check_activation("layer_norm", "x", x);
  const int64_t channels = x.dim(-1);
  SUMI_CHECK(gain.numel() == channels && bias.numel() == channels, "layer_norm: {} gains and {} biases for {} channels",
             gain.numel(), bias.numel(), channels);
  const Device device = common_device("layer_norm", {&x, &gain, &bias});
  const OpScope scope("layer_norm", x);
  Tensor out = Tensor::empty(x.shape(), x.dtype(), device);
  const Tensor gain32 = as_f32(gain), bias32 = as_f32(bias);
  layer_norm_slot(device, {.x = x.view(),
                           .gain = gain32.view(),
                           .bias = bias32.view(),
                           .out = out.mutable_view(),
                           .rows = x.numel() / std::max<int64_t>(1, channels),
                           .channels = channels,
                           .eps = eps});
  if (Tape* tape = Tape::recording({&x, &gain, &bias}))
    tape->record(out, [=](const Tensor& grad) { layer_norm_backward(x, gain, bias, eps, grad); });
  return out;
}

}  // namespace sumi
