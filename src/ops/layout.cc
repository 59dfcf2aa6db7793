#include "ops/layout.h"

#include <algorithm>
#include <utility>

#include "core/allocator.h"
#include "core/autograd.h"
#include "core/quantized.h"
#include "ops/elementwise.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {

constinit KernelSlot<StridedCopyArgs> strided_copy_slot("strided_copy");
constinit KernelSlot<TransposeArgs> transpose_slot("transpose");
constinit KernelSlot<ResampleArgs> pick_pixels_slot("pick_pixels");
constinit KernelSlot<ResampleArgs> upsample_nearest_2x_slot("upsample_nearest_2x");
constinit KernelSlot<ResampleArgs> mean_pool_2x2_slot("mean_pool_2x2");
constinit KernelSlot<ResampleArgs> sum_pool_2x2_slot("sum_pool_2x2");
constinit KernelSlot<CastArgs> cast_slot("cast");

namespace {

// Elements that can be moved one by one.
void check_elements(const char* op, const Tensor& x) {
  SUMI_CHECK_KIND(kInternal, x.defined() && !is_quantized(x.dtype()), "{}: x must have elements, not {}", op,
                  x.defined() ? name_of(x.dtype()) : "be absent");
}

// For what has no gradient of its own: better a sentence than a gradient that is missing.
void check_no_gradient(const char* op, const Tensor& x) {
  SUMI_CHECK_KIND(kInternal, Tape::recording({&x}) == nullptr, "{}: has no gradient; training computes in f32", op);
}

void check_picture(const char* op, const Tensor& x) {
  SUMI_CHECK(x.rank() == 4, "{}: {} does not have four dimensions", op, x.shape().str());
}

// out[n, j, i] = x[n, i, j]
Tensor transpose_last(const char* op, const Tensor& x, const Shape& shape, int64_t rows, int64_t columns) {
  check_elements(op, x);
  const OpScope scope(op, x);
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  transpose_slot(x.device(),
                 {.x = x.view(), .out = out.mutable_view(), .batch = shape[0], .rows = rows, .columns = columns});
  return out;
}

// Rows of `width` elements from channel `from_begin` of `from` to channel `to_begin` of `to`.
void copy_channels(const Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin, int64_t width) {
  const int64_t from_channels = from.dim(-1), to_channels = to.dim(-1);
  const int64_t rows = from.numel() / std::max<int64_t>(1, from_channels);
  strided_copy_slot(from.device(), {.from = from.view().from(from_begin),
                                    .to = to.mutable_view().from(to_begin),
                                    .sizes = {1, 1, rows, width},
                                    .from_strides = {0, 0, from_channels},
                                    .to_strides = {0, 0, to_channels}});
}

Tensor resample(const char* op, const KernelSlot<ResampleArgs>& slot, const Tensor& x, int64_t height, int64_t width) {
  check_activation(op, "x", x);
  check_picture(op, x);
  const OpScope scope(op, x);
  Tensor out = Tensor::empty({x.dim(0), height, width, x.dim(3)}, x.dtype(), x.device());
  slot(x.device(), {.x = x.view(),
                    .out = out.mutable_view(),
                    .batch = x.dim(0),
                    .in_h = x.dim(1),
                    .in_w = x.dim(2),
                    .out_h = height,
                    .out_w = width,
                    .channels = x.dim(3)});
  return out;
}

}  // namespace

Tensor nchw_to_nhwc(const Tensor& x) {
  check_picture("nchw_to_nhwc", x);
  Tensor out =
      transpose_last("nchw_to_nhwc", x, {x.dim(0), x.dim(2), x.dim(3), x.dim(1)}, x.dim(1), x.dim(2) * x.dim(3));
  if (Tape* tape = Tape::recording({&x}))
    tape->record(out, [x](const Tensor& grad) { add_grad(x, nhwc_to_nchw(grad)); });
  return out;
}

Tensor nhwc_to_nchw(const Tensor& x) {
  check_picture("nhwc_to_nchw", x);
  Tensor out =
      transpose_last("nhwc_to_nchw", x, {x.dim(0), x.dim(3), x.dim(1), x.dim(2)}, x.dim(1) * x.dim(2), x.dim(3));
  if (Tape* tape = Tape::recording({&x}))
    tape->record(out, [x](const Tensor& grad) { add_grad(x, nchw_to_nhwc(grad)); });
  return out;
}

Tensor concat_channels(const Tensor& x, const Tensor& y) {
  check_elements("concat_channels", x);
  check_same_type("concat_channels", "y", x, y);
  const Device device = common_device("concat_channels", {&x, &y});
  const int64_t cx = x.dim(-1), cy = y.dim(-1);
  Shape shape = x.shape();
  shape[-1] = cy;
  SUMI_CHECK(shape == y.shape(), "concat_channels: {} and {} differ before the channels", x.shape().str(),
             y.shape().str());
  shape[-1] = cx + cy;
  const OpScope scope("concat_channels", x);
  Tensor out = Tensor::empty(shape, x.dtype(), device);
  copy_channels(x, 0, out, 0, cx);
  copy_channels(y, 0, out, cx, cy);
  if (Tape* tape = Tape::recording({&x, &y})) {
    tape->record(out, [x, y](const Tensor& grad) {
      const int64_t border = x.dim(-1), end = grad.dim(-1);
      if (x.requires_grad()) add_grad(x, slice_channels(grad, 0, border));
      if (y.requires_grad()) add_grad(y, slice_channels(grad, border, end));
    });
  }
  return out;
}

Tensor slice_channels(const Tensor& x, int64_t begin, int64_t end) {
  check_elements("slice_channels", x);
  const int64_t channels = x.dim(-1), width = end - begin;
  SUMI_CHECK(0 <= begin && begin <= end && end <= channels, "slice_channels: {} to {} are not in {}", begin, end,
             x.shape().str());
  Shape shape = x.shape();
  shape[-1] = width;
  const OpScope scope("slice_channels", x);
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  copy_channels(x, begin, out, 0, width);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, begin, end](const Tensor& grad) {
      Tensor padded = grad;
      const auto zeros = [&](int64_t count) {
        Shape missing = x.shape();
        missing[-1] = count;
        return Tensor::zeros(missing, DType::kF32, x.device());
      };
      if (begin > 0) padded = concat_channels(zeros(begin), padded);
      if (end < x.dim(-1)) padded = concat_channels(padded, zeros(x.dim(-1) - end));
      add_grad(x, padded);
    });
  }
  return out;
}

namespace {

// Whether rows [top, bottom) and columns [left, right) are in pictures of that shape.
void check_part(const char* op, const Tensor& whole, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  check_elements(op, whole);
  SUMI_CHECK(whole.rank() == 4 && 0 <= top && top <= bottom && bottom <= whole.dim(1) && 0 <= left && left <= right &&
                 right <= whole.dim(2),
             "{}: rows {} to {} and columns {} to {} are not in {}", op, top, bottom, left, right, whole.shape().str());
}

// Between `part` and the rows and columns of `whole` that begin at `top` and `left`; a row of pixels lies together.
StridedCopyArgs part_copy(const Tensor& whole, const Tensor& part) {
  const int64_t row = part.dim(2) * part.dim(3), whole_row = whole.dim(2) * whole.dim(3);
  return {.from = {},
          .to = {},
          .sizes = {1, part.dim(0), part.dim(1), row},
          .from_strides = {0, whole.dim(1) * whole_row, whole_row},
          .to_strides = {0, part.dim(1) * row, row}};
}

// The element of `whole` that the part begins with.
int64_t first_of(const Tensor& whole, int64_t top, int64_t left) { return (top * whole.dim(2) + left) * whole.dim(3); }

}  // namespace

Tensor crop(const Tensor& x, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  check_part("crop", x, top, bottom, left, right);
  const OpScope scope("crop", x);
  Tensor out = Tensor::empty({x.dim(0), bottom - top, right - left, x.dim(3)}, x.dtype(), x.device());
  StridedCopyArgs args = part_copy(x, out);
  args.from = x.view().from(first_of(x, top, left));
  args.to = out.mutable_view();
  strided_copy_slot(x.device(), args);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x, top, left](const Tensor& grad) {
      Tensor dx = Tensor::zeros(x.shape(), DType::kF32, x.device());
      paste(grad, dx, top, left);
      add_grad(x, dx);
    });
  }
  return out;
}

Tensor pick_pixels(const Tensor& x, int64_t height, int64_t width) {
  SUMI_CHECK(x.rank() == 4 && 0 < height && height <= x.dim(1) && 0 < width && width <= x.dim(2),
             "pick_pixels: {} does not have {}x{} pixels", x.shape().str(), height, width);
  check_no_gradient("pick_pixels", x);
  return resample("pick_pixels", pick_pixels_slot, x, height, width);
}

void paste(const Tensor& part, Tensor& whole, int64_t top, int64_t left) {
  SUMI_CHECK(part.rank() == 4 && whole.rank() == 4 && part.dim(0) == whole.dim(0) && part.dim(3) == whole.dim(3),
             "paste: {} is not a part of {}", part.shape().str(), whole.shape().str());
  check_part("paste", whole, top, top + part.dim(1), left, left + part.dim(2));
  check_same_type("paste", "the part", whole, part);
  common_device("paste", {&whole, &part});
  const OpScope scope("paste", part);
  StridedCopyArgs args = part_copy(whole, part);
  std::swap(args.from_strides, args.to_strides);
  args.from = part.view();
  args.to = whole.mutable_view().from(first_of(whole, top, left));
  strided_copy_slot(whole.device(), args);
}

Tensor concat_rows(const std::vector<Tensor>& parts) {
  SUMI_CHECK(!parts.empty(), "concat_rows: nothing to join");
  Shape shape = parts[0].shape();
  int64_t rows = 0;
  for (const Tensor& part : parts) {
    shape[0] = part.dim(0);
    SUMI_CHECK(part.shape() == shape && part.dtype() == parts[0].dtype(), "concat_rows: {} does not join {}",
               part.shape().str(), parts[0].shape().str());
    common_device("concat_rows", {&parts[0], &part});
    rows += part.dim(0);
  }
  shape[0] = rows;
  Tensor out = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  int64_t row = 0;
  bool recorded = false;
  for (const Tensor& part : parts) {
    Tensor to = out.rows(row, row + part.dim(0));
    to.copy_from(part);
    row += part.dim(0);
    recorded = recorded || Tape::recording({&part}) != nullptr;
  }
  if (recorded) {
    Tape::current()->record(out, [parts](const Tensor& grad) {
      int64_t begin = 0;
      for (const Tensor& part : parts) {
        add_grad(part, grad.rows(begin, begin + part.dim(0)).clone());
        begin += part.dim(0);
      }
    });
  }
  return out;
}

Tensor upsample_nearest_2x(const Tensor& x, int64_t out_height, int64_t out_width) {
  check_picture("upsample_nearest_2x", x);
  const int64_t height = x.dim(1), width = x.dim(2);
  const int64_t out_h = out_height < 0 ? 2 * height : out_height, out_w = out_width < 0 ? 2 * width : out_width;
  SUMI_CHECK((out_h + 1) / 2 == height && (out_w + 1) / 2 == width, "upsample_nearest_2x: {} cannot become {}x{}",
             x.shape().str(), out_h, out_w);
  Tensor out = resample("upsample_nearest_2x", upsample_nearest_2x_slot, x, out_h, out_w);
  if (Tape* tape = Tape::recording({&x}))
    tape->record(out, [x](const Tensor& grad) { add_grad(x, sum_pool_2x2(grad)); });
  return out;
}

Tensor sum_pool_2x2(const Tensor& x) {
  check_picture("sum_pool_2x2", x);
  return resample("sum_pool_2x2", sum_pool_2x2_slot, x, (x.dim(1) + 1) / 2, (x.dim(2) + 1) / 2);
}

Tensor mean_pool_2x2(const Tensor& x) {
  check_picture("mean_pool_2x2", x);
  Tensor out = resample("mean_pool_2x2", mean_pool_2x2_slot, x, x.dim(1) / 2, x.dim(2) / 2);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      SUMI_CHECK_KIND(kUsage, x.dim(1) % 2 == 0 && x.dim(2) % 2 == 0, "mean_pool_2x2: no gradient for odd sides: {}",
                      x.shape().str());
      add_grad(x, upsample_nearest_2x(grad * 0.25f));
    });
  }
  return out;
}

namespace {

// Between float32 and the storage types in both directions; from f64, f8 and the other quantised types to float32 only.
bool cast_is_offered(DType from, DType to) {
  const DType other = from == DType::kF32 ? to : from;
  const bool stored = other == DType::kF16 || other == DType::kBF16 || is_writable_quantized(other);
  const bool only_read = from == DType::kF64 || from == DType::kF8E4M3 || from == DType::kF8E5M2 || is_quantized(from);
  return (from == DType::kF32 || to == DType::kF32) && (stored || only_read);
}

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  SUMI_CHECK(cast_is_offered(x.dtype(), dtype), "cast: from {} to {} is not supported", name_of(x.dtype()),
             name_of(dtype));
  check_no_gradient("cast", x);
  const bool blocks = is_quantized(x.dtype()) || is_quantized(dtype);
  const int64_t block = std::max(block_of(x.dtype()), block_of(dtype));
  SUMI_CHECK(!blocks || x.numel() % block == 0, "cast: {} does not make whole blocks of {}", x.shape().str(), block);
  const OpScope scope("cast", x);
  Tensor out = Tensor::empty(x.shape(), dtype, x.device());
  cast_slot(x.device(), {.x = x.view(), .out = out.mutable_view()});
  return out;
}

}  // namespace sumi
