#include "ops/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<AttentionKernel> attention_slot("attention");

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  check_f32("attention", "q", q);
  check_f32("attention", "k", k);
  check_f32("attention", "v", v);
  SUMI_CHECK(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) &&
                 k.dim(1) > 0,
             "attention: q {}, k {} and v {} do not fit together", q.shape().str(), k.shape().str(), v.shape().str());
  SUMI_CHECK(options.heads > 0 && q.dim(2) % options.heads == 0, "attention: {} channels do not make {} heads",
             q.dim(2), options.heads);
  const Device device = common_device("attention", {&q, &k, &v});
  Tensor out = Tensor::empty(q.shape(), DType::kF32, device);
  const int64_t head_dim = q.dim(2) / options.heads;
  const OpScope scope("attention", 4.0 * static_cast<double>(q.numel()) * static_cast<double>(k.dim(1)), [&] {
    return fmt::format("{}x{} queries, {} keys, {} heads of {}", q.dim(0), q.dim(1), k.dim(1), options.heads, head_dim);
  });
  attention_slot.on(device)({.q = q.data<float>(),
                             .k = k.data<float>(),
                             .v = v.data<float>(),
                             .out = out.data<float>(),
                             .batch = q.dim(0),
                             .queries = q.dim(1),
                             .keys = k.dim(1),
                             .heads = options.heads,
                             .head_dim = head_dim,
                             .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))),
                             .causal = options.causal});
  return out;
}

}  // namespace sumi
