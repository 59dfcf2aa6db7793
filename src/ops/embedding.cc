#include "ops/embedding.h"

#include <algorithm>

#include "base/check.h"
#include "core/autograd.h"
#include "ops/layout.h"
#include "ops/op_check.h"

namespace sumi {

Tensor embedding(const Tensor& ids, const Tensor& table) {
  SUMI_CHECK(ids.dtype() == DType::kI64, "embedding: ids must be i64, not {}", name_of(ids.dtype()));
  SUMI_CHECK(table.rank() == 2, "embedding: {} is not a table", table.shape().str());
  check_host("embedding", table);
  std::vector<int64_t> dims = ids.shape().dims();
  dims.push_back(table.dim(1));
  Tensor out = Tensor::empty(Shape(dims), DType::kF32, table.device());
  const int64_t width = table.dim(1);
  for (int64_t i = 0; i < ids.numel(); ++i) {
    const int64_t id = ids.data<int64_t>()[i];
    SUMI_CHECK(id >= 0 && id < table.dim(0), "embedding: id {} is not in a table of {} rows", id, table.dim(0));
    const Tensor row = cast(table.detach().rows(id, id + 1), DType::kF32);
    std::copy_n(row.data<float>(), width, out.data<float>() + i * width);
  }
  if (Tape* tape = Tape::recording({&table})) {
    tape->record(out, [ids, table, width](const Tensor& grad) {
      Tensor sum = Tensor::zeros(table.shape(), DType::kF32, table.device());
      for (int64_t i = 0; i < ids.numel(); ++i) {
        const float* from = grad.data<float>() + i * width;
        float* to = sum.data<float>() + ids.data<int64_t>()[i] * width;
        for (int64_t c = 0; c < width; ++c) to[c] += from[c];
      }
      add_grad(table, sum);
    });
  }
  return out;
}

}  // namespace sumi
