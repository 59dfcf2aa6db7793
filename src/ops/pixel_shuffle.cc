#include "ops/pixel_shuffle.h"

#include "core/autograd.h"
#include "ops/layout.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

// Moves every value between pictures `large` [N,f·H,f·W,C] and `small` [N,H,W,C·f²], of which one is `from` and the
// other `to`.
void move_pixels(const Tensor& from, Tensor& to, const Shape& large, const Shape& small, int64_t f) {
  const int64_t channels = large[3], row = large[2] * channels, small_row = small[2] * small[3];
  const bool enlarges = to.shape() == large;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t dy = 0; dy < f; ++dy) {
      for (int64_t dx = 0; dx < f; ++dx) {
        const int64_t in_large = dy * row + dx * channels + c, in_small = (c * f + dy) * f + dx;
        StridedCopyArgs args{.from = from.view().from(enlarges ? in_small : in_large),
                             .to = to.mutable_view().from(enlarges ? in_large : in_small),
                             .sizes = {1, small[0] * small[1], small[2], 1},
                             .from_strides = {0, small_row, small[3]},
                             .to_strides = {0, f * row, f * channels}};
        if (!enlarges) std::swap(args.from_strides, args.to_strides);
        strided_copy_slot(from.device(), args);
      }
    }
  }
}

void check(const char* op, const Tensor& x, bool divides) {
  SUMI_CHECK_KIND(kInternal, x.rank() == 4 && divides && !is_quantized(x.dtype()), "{}: {} cannot be rearranged", op,
                  x.shape().str());
  SUMI_CHECK_KIND(kInternal, Tape::recording({&x}) == nullptr, "{}: has no gradient", op);
}

}  // namespace

Tensor pixel_shuffle(const Tensor& x, int64_t f) {
  check("pixel_shuffle", x, x.dim(3) % (f * f) == 0);
  if (f == 1) return x;
  const OpScope scope("pixel_shuffle", x);
  Tensor out = Tensor::empty({x.dim(0), f * x.dim(1), f * x.dim(2), x.dim(3) / (f * f)}, x.dtype(), x.device());
  move_pixels(x, out, out.shape(), x.shape(), f);
  return out;
}

Tensor pixel_unshuffle(const Tensor& x, int64_t f) {
  check("pixel_unshuffle", x, x.dim(1) % f == 0 && x.dim(2) % f == 0);
  if (f == 1) return x;
  const OpScope scope("pixel_unshuffle", x);
  Tensor out = Tensor::empty({x.dim(0), x.dim(1) / f, x.dim(2) / f, x.dim(3) * f * f}, x.dtype(), x.device());
  move_pixels(x, out, x.shape(), out.shape(), f);
  return out;
}

}  // namespace sumi
