// Reference kernel: attention, one row of scores at a time, in double.
#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/ref/typed.h"

namespace sumi::backend::ref {
namespace {

template <class T> void attend(Context& context, const AttentionArgs& a) {
  const int64_t width = a.heads * a.head_dim;
  const In<T> query(a.q), key(a.k), value(a.v);
  const Out<T> out(a.out);
  context.parallel_for(a.batch * a.heads, [&](int64_t task) {
    const int64_t n = task / a.heads, offset = task % a.heads * a.head_dim;
    std::vector<double> score(static_cast<size_t>(a.keys));
    for (int64_t i = 0; i < a.queries; ++i) {
      const In<T> q = query + ((n * a.queries + i) * width + offset);
      const int64_t seen = a.causal ? std::min(a.keys, i + 1) : a.keys;
      double top = -INFINITY, sum = 0.0;
      for (int64_t j = 0; j < seen; ++j) {
        const In<T> k = key + ((n * a.keys + j) * width + offset);
        double dot = 0.0;
        for (int64_t d = 0; d < a.head_dim; ++d) dot += q[d] * k[d];
        score[static_cast<size_t>(j)] = dot * a.scale;
        top = std::max(top, dot * a.scale);
      }
      for (int64_t j = 0; j < seen; ++j)
        sum += score[static_cast<size_t>(j)] = std::exp(score[static_cast<size_t>(j)] - top);
      for (int64_t d = 0; d < a.head_dim; ++d) {
        double mix = 0.0;
        for (int64_t j = 0; j < seen; ++j)
          mix += score[static_cast<size_t>(j)] * value[(n * a.keys + j) * width + offset + d];
        out.set((n * a.queries + i) * width + offset + d, mix / sum);
      }
    }
  });
}

void attention(Context& context, const AttentionArgs& args) {
  with_activation_type(args.q.dtype, [&](auto type) { attend<decltype(type)>(context, args); });
}

const KernelRegistration kAttention(attention_slot, Device::kRef, attention);

}  // namespace
}  // namespace sumi::backend::ref
