#include "ops/embedding.h"

#include <algorithm>

#include "base/check.h"
#include "core/autograd.h"
#include "ops/matmul.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<EmbeddingArgs> embedding_slot("embedding");
constinit KernelSlot<EmbeddingGradArgs> embedding_grad_slot("embedding_grad");
constinit KernelSlot<TimestepEmbeddingArgs> timestep_embedding_slot("timestep_embedding");

Tensor embedding(const Tensor& ids, const Tensor& table) {
  SUMI_CHECK(ids.dtype() == DType::kI64, "embedding: ids must be i64, not {}", name_of(ids.dtype()));
  SUMI_CHECK(table.rank() == 2, "embedding: {} is not a table", table.shape().str());
  SUMI_CHECK_KIND(kInternal, is_host(ids.device()), "embedding: ids must be on the host, not on {}",
                  name_of(ids.device()));
  for (const int64_t id : ids.host<int64_t>())
    SUMI_CHECK(id >= 0 && id < table.dim(0), "embedding: id {} is not in a table of {} rows", id, table.dim(0));
  std::vector<int64_t> dims = ids.shape().dims();
  dims.push_back(table.dim(1));
  const OpScope scope("embedding", ids);
  Tensor out = Tensor::empty(Shape(dims), DType::kF32, table.device());
  const Tensor there = ids.to(table.device());
  embedding_slot(table.device(), {.ids = there.view(),
                                  .table = weight_view(table),
                                  .out = out.mutable_view(),
                                  .count = ids.numel(),
                                  .width = table.dim(1)});
  if (Tape* tape = Tape::recording({&table})) {
    tape->record(out, [there, table](const Tensor& grad) {
      Tensor sum = Tensor::zeros(table.shape(), DType::kF32, table.device());
      embedding_grad_slot(table.device(), {.ids = there.view(),
                                           .dy = grad.view(),
                                           .dtable = sum.mutable_view(),
                                           .count = there.numel(),
                                           .width = table.dim(1)});
      add_grad(table, sum);
    });
  }
  return out;
}

Tensor timestep_embedding(const std::vector<double>& timesteps, int64_t width, Device device, double max_period) {
  Tensor out = Tensor::empty({static_cast<int64_t>(timesteps.size()), width}, DType::kF32, device);
  timestep_embedding_slot(
      device, {.timesteps = timesteps, .out = out.mutable_view(), .width = width, .max_period = max_period});
  return out;
}

}  // namespace sumi
