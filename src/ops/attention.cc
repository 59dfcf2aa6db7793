#include "ops/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "core/autograd.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<AttentionArgs> attention_slot("attention");
constinit KernelSlot<AttentionGradArgs> attention_grad_slot("attention_grad");

namespace {

AttentionArgs attention_args(const Tensor& q, const Tensor& k, const Tensor& v, MutableView out,
                             const AttentionOptions& options) {
  const int64_t head_dim = q.dim(2) / options.heads;
  return {.q = q.view(),
          .k = k.view(),
          .v = v.view(),
          .out = out,
          .batch = q.dim(0),
          .queries = q.dim(1),
          .keys = k.dim(1),
          .heads = options.heads,
          .head_dim = head_dim,
          .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))),
          .causal = options.causal};
}

// Work is counted as in ops/profile.h: two products forward, and two more for each of them backward; computing the
// scores again is not counted.
OpScope scope_of(const char* op, double products, const Tensor& q, const Tensor& k, int64_t heads) {
  return OpScope(op, products * 2.0 * static_cast<double>(q.numel()) * static_cast<double>(k.dim(1)), [&] {
    return fmt::format("{}x{} queries, {} keys, {} heads of {}", q.dim(0), q.dim(1), k.dim(1), heads, q.dim(2) / heads);
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                        const AttentionOptions& options, const Tensor& grad) {
  const OpScope scope = scope_of("attention_grad", 4.0, q, k, options.heads);
  Tensor dq = Tensor::empty(q.shape(), DType::kF32, q.device());
  Tensor dk = Tensor::empty(k.shape(), DType::kF32, q.device()), dv = Tensor::empty(k.shape(), DType::kF32, q.device());
  attention_grad_slot(q.device(), {.forward = attention_args(q, k, v, {out.view()}, options),
                                   .dout = grad.view(),
                                   .dq = dq.mutable_view(),
                                   .dk = dk.mutable_view(),
                                   .dv = dv.mutable_view()});
  add_grad(q, dq);
  add_grad(k, dk);
  add_grad(v, dv);
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  check_activation("attention", "q", q);
  check_same_type("attention", "k", q, k);
  check_same_type("attention", "v", q, v);
  SUMI_CHECK(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) &&
                 k.dim(1) > 0,
             "attention: q {}, k {} and v {} do not fit together", q.shape().str(), k.shape().str(), v.shape().str());
  SUMI_CHECK(options.heads > 0 && q.dim(2) % options.heads == 0, "attention: {} channels do not make {} heads",
             q.dim(2), options.heads);
  const Device device = common_device("attention", {&q, &k, &v});
  Tensor out = Tensor::empty(q.shape(), q.dtype(), device);
  const OpScope scope = scope_of("attention", 2.0, q, k, options.heads);
  attention_slot(device, attention_args(q, k, v, out.mutable_view(), options));
  if (Tape* tape = Tape::recording({&q, &k, &v})) {
    tape->record(out, [q, k, v, result = out.detach(), options](const Tensor& grad) {
      attention_backward(q, k, v, result, options, grad);
    });
  }
  return out;
}

}  // namespace sumi
