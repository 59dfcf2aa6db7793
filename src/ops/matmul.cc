#include "ops/matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/autograd.h"
#include "core/quantized.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<LinearArgs> linear_slot("linear");
constinit KernelSlot<LinearArgs> linear_geglu_slot("linear_geglu");

Tensor as_f32(const Tensor& param) {
  if (!param || param.dtype() == DType::kF32) return param;
  return cast(param, DType::kF32);
}

WeightView weight_view(const Tensor& weight) {
  const DType dtype = weight.dtype();
  SUMI_CHECK(is_weight_type(dtype), "weights of type {} are not supported; use f32, f16, bf16 or a quantised type",
             name_of(dtype));
  SUMI_CHECK_KIND(kInternal,
                  !is_quantized(dtype) || weight.numel() / std::max<int64_t>(1, weight.dim(0)) % block_of(dtype) == 0,
                  "the rows of a weight {} are not whole blocks", weight.shape().str());
  return weight.weight_view();
}

namespace {

void check_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_activation("linear", "x", x);
  SUMI_CHECK(weight.rank() >= 2 && x.rank() >= 1 && weight.numel() == weight.dim(0) * weight.dim(1),
             "linear: {} is not a weight matrix", weight.shape().str());
  const int64_t n = weight.dim(0), k = weight.dim(1);
  SUMI_CHECK(x.dim(-1) == k, "linear: the weight {} expects {} channels, x {} has {}", weight.shape().str(), k,
             x.shape().str(), x.dim(-1));
  SUMI_CHECK(!bias || bias.numel() == n, "linear: a bias of {} values for {} outputs", bias.numel(), n);
}

void check_change(const Tensor& weight, const LowRank& change) {
  if (!change) return;
  const Shape &down = change.down.shape(), &up = change.up.shape();
  const int64_t n = weight.dim(0), k = weight.dim(1);
  SUMI_CHECK(down.rank() >= 2 && up.rank() >= 2 && down[1] == k && down.numel() == down[0] * k && up[0] == n &&
                 up[1] == down[0] && up.numel() == n * up[1],
             "linear: the change of {} and {} does not fit the weight {}", down.str(), up.str(), weight.shape().str());
  SUMI_CHECK(is_activation_type(change.down.dtype()) && is_activation_type(change.up.dtype()),
             "linear: a change of the types {} and {}; it must be f32, f16 or bf16", name_of(change.down.dtype()),
             name_of(change.up.dtype()));
}

// Whether a weight's change has to be a product of its own, so that gradients reach its parts or go through it.
bool is_composed(const LowRank& change, const Tape* tape) {
  return change && (tape != nullptr || change.down.requires_grad() || change.up.requires_grad());
}

// Runs the slot's kernel for checked operands.
void run_linear(const KernelSlot<LinearArgs>& slot, const Tensor& x, const Tensor& weight, const Tensor& bias,
                const LinearOptions& options, Tensor& out) {
  check_same_type(slot.op(), "the residual", x, options.residual);
  const LowRank& change = options.change;
  const int64_t n = weight.dim(0), k = weight.dim(1), m = x.numel() / std::max<int64_t>(k, 1), rank = change.rank();
  const OpScope scope(
      slot.op().data(), 2.0 * static_cast<double>(m) * static_cast<double>(n * k + rank * (n + k)),
      [&] { return fmt::format("{}x{}{} → {}", m, k, rank > 0 ? fmt::format(" and {}", rank) : "", n); });
  const Tensor bias32 = as_f32(bias);
  Tensor low = rank > 0 ? Tensor::empty({m, rank}, DType::kF32, x.device()) : Tensor();
  slot(x.device(), {.x = x.view(),
                    .weight = weight_view(weight),
                    .bias = bias32.view(),
                    .residual = options.residual.view(),
                    .out = out.mutable_view(),
                    .m = m,
                    .n = n,
                    .k = k,
                    .act = options.act,
                    .down = change.down.weight_view(),
                    .up = change.up.weight_view(),
                    .low = low.mutable_view(),
                    .rank = rank,
                    .scale = change.scale});
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const LinearOptions& options) {
  check_linear(x, weight, bias);
  check_change(weight, options.change);
  Shape shape = x.shape();
  shape[-1] = weight.dim(0);
  SUMI_CHECK(!options.residual || options.residual.shape() == shape, "linear: a residual {} for a result {}",
             options.residual.shape().str(), shape.str());
  const LowRank& change = options.change;
  const Device device = common_device("linear", {&x, &weight, &bias, &options.residual, &change.down, &change.up});
  Tape* tape = Tape::recording({&x, &weight, &bias, &options.residual});
  if (is_composed(change, tape)) {
    Tensor y = linear(x, weight, bias);
    y = linear(linear(x, change.down, {}) * change.scale, change.up, {}, {.residual = y});
    if (options.act != Act::kNone) y = activate(y, options.act);
    return options.residual ? y + options.residual : y;
  }
  if (tape != nullptr && options.act != Act::kNone) {
    // The activation's gradient needs what it was given.
    const Tensor activated = activate(linear(x, weight, bias), options.act);
    return options.residual ? activated + options.residual : activated;
  }
  Tensor out = Tensor::empty(shape, x.dtype(), device);
  run_linear(linear_slot, x, weight, bias, options, out);
  if (tape != nullptr) {
    tape->record(out, [x, weight, bias, residual = options.residual](const Tensor& grad) {
      add_grad(residual, grad);
      if (bias.requires_grad()) add_grad(bias, sum_rows(grad, 1, grad.dim(-1)));
      if (weight.requires_grad()) add_grad(weight, linear_grad_weight(x, grad));
      if (x.requires_grad()) add_grad(x, linear_grad_input(grad, weight));
    });
  }
  return out;
}

Tensor linear_geglu(const Tensor& x, const Tensor& weight, const Tensor& bias, const LowRank& change) {
  check_linear(x, weight, bias);
  check_change(weight, change);
  SUMI_CHECK(weight.dim(0) % 2 == 0, "linear_geglu: {} outputs cannot be halved", weight.dim(0));
  const Device device = common_device("linear_geglu", {&x, &weight, &bias, &change.down, &change.up});
  const Tape* tape = Tape::recording({&x, &weight, &bias});
  if (!linear_geglu_slot.has(device) || tape != nullptr || is_composed(change, tape))
    return geglu(linear(x, weight, bias, {.change = change}));
  Shape shape = x.shape();
  shape[-1] = weight.dim(0) / 2;
  Tensor out = Tensor::empty(shape, x.dtype(), device);
  run_linear(linear_geglu_slot, x, weight, bias, {.change = change}, out);
  return out;
}

}  // namespace sumi
