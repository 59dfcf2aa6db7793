#include "ops/window.h"

#include <algorithm>
#include <vector>

#include "core/autograd.h"
#include "ops/layout.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

// `count` rows or columns of the result from `to` on, which begin at `from` in the picture; -1: they are zeros.
struct Stretch {
  int64_t to, count, from;
};

std::vector<Stretch> stretches(int64_t begin, int64_t end, int64_t size, bool wraps) {
  std::vector<Stretch> all;
  for (int64_t at = begin; at < end;) {
    Stretch next{.to = at - begin, .count = end - at, .from = -1};
    if (wraps || (at >= 0 && at < size)) {
      next.from = (at % size + size) % size;
      next.count = std::min(next.count, size - next.from);
    } else if (at < 0) {
      next.count = std::min(next.count, -at);
    }
    all.push_back(next);
    at += next.count;
  }
  return all;
}

bool has_zeros(const std::vector<Stretch>& all) {
  return std::any_of(all.begin(), all.end(), [](const Stretch& s) { return s.from < 0; });
}

}  // namespace

Tensor window(const Tensor& x, int64_t top, int64_t bottom, int64_t left, int64_t right, const Wraps& wraps) {
  SUMI_CHECK_KIND(
      kInternal,
      x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0 && top < bottom && left < right && !is_quantized(x.dtype()),
      "window: rows {} to {} and columns {} to {} of {}", top, bottom, left, right, x.shape().str());
  SUMI_CHECK_KIND(kInternal, Tape::recording({&x}) == nullptr, "window: has no gradient");
  const OpScope scope("window", x);
  const int64_t channels = x.dim(3), height = bottom - top, width = right - left;
  Tensor out = Tensor::empty({x.dim(0), height, width, channels}, x.dtype(), x.device());
  const std::vector<Stretch> rows = stretches(top, bottom, x.dim(1), wraps.y),
                             columns = stretches(left, right, x.dim(2), wraps.x);
  Tensor zeros;
  if (has_zeros(rows) || has_zeros(columns)) zeros = Tensor::zeros({width, channels}, x.dtype(), x.device());
  for (const Stretch& r : rows) {
    for (const Stretch& c : columns) {
      const bool inside = r.from >= 0 && c.from >= 0;
      StridedCopyArgs args{.from = zeros.view(),
                           .to = out.mutable_view().from((r.to * width + c.to) * channels),
                           .sizes = {1, x.dim(0), r.count, c.count * channels},
                           .from_strides = {},
                           .to_strides = {0, height * width * channels, width * channels}};
      if (inside) {
        args.from = x.view().from((r.from * x.dim(2) + c.from) * channels);
        args.from_strides = {0, x.dim(1) * x.dim(2) * channels, x.dim(2) * channels};
      }
      strided_copy_slot(x.device(), args);
    }
  }
  return out;
}

}  // namespace sumi
