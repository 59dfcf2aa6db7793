#include "ops/layout.h"

#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "core/autograd.h"
#include "core/quantized.h"
#include "ops/elementwise.h"
#include "ops/op_check.h"
#include "ops/profile.h"

namespace sumi {
namespace {

// out[n, j, i] = x[n, i, j] for matrices of `rows`×`cols`, in square blocks that fit a cache line each way.
template <class T> void transpose(const T* x, T* out, int64_t batch, int64_t rows, int64_t cols) {
  constexpr int64_t kBlock = 16;
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  parallel_for(batch * blocks, [&](int64_t task) {
    const int64_t n = task / blocks, i0 = task % blocks * kBlock, i1 = std::min(rows, i0 + kBlock);
    const T* from = x + n * rows * cols;
    T* to = out + n * rows * cols;
    for (int64_t j0 = 0; j0 < cols; j0 += kBlock) {
      for (int64_t j = j0; j < std::min(cols, j0 + kBlock); ++j) {
        for (int64_t i = i0; i < i1; ++i) to[j * rows + i] = from[i * cols + j];
      }
    }
  });
}

Tensor transpose_last(const Tensor& x, const Shape& shape, int64_t rows, int64_t cols) {
  check_host("transpose", x);
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  const int64_t batch = shape[0];
  switch (size_of(x.dtype())) {
    case 1: transpose(x.data<uint8_t>(), out.data<uint8_t>(), batch, rows, cols); break;
    case 2: transpose(x.data<uint16_t>(), out.data<uint16_t>(), batch, rows, cols); break;
    case 4: transpose(x.data<uint32_t>(), out.data<uint32_t>(), batch, rows, cols); break;
    default: transpose(x.data<uint64_t>(), out.data<uint64_t>(), batch, rows, cols);
  }
  return out;
}

template <class From, class To, class Convert> void convert(const Tensor& x, Tensor& out, Convert f) {
  constexpr int64_t kChunk = 1 << 16;
  parallel_for((x.numel() + kChunk - 1) / kChunk, [&](int64_t task) {
    const int64_t end = std::min(x.numel(), (task + 1) * kChunk);
    const From* from = x.data<From>();
    To* to = out.data<To>();
    for (int64_t i = task * kChunk; i < end; ++i) to[i] = f(from[i]);
  });
}

// Block by block, through floats.
template <class Block, class Convert> void convert_blocks(const Tensor& x, Tensor& out, Convert f) {
  const Tensor& floats = x.dtype() == DType::kF32 ? x : out;
  const Tensor& blocks = x.dtype() == DType::kF32 ? out : x;
  SUMI_CHECK(x.numel() % kQuantBlock == 0, "cast: {} does not make whole blocks of {}", x.shape().str(), kQuantBlock);
  constexpr int64_t kChunk = 1 << 11;
  const int64_t count = x.numel() / kQuantBlock;
  parallel_for((count + kChunk - 1) / kChunk, [&](int64_t task) {
    for (int64_t i = task * kChunk; i < std::min(count, (task + 1) * kChunk); ++i)
      f(reinterpret_cast<float*>(floats.raw()) + i * kQuantBlock, reinterpret_cast<Block*>(blocks.raw()) + i);
  });
}

}  // namespace

Tensor nchw_to_nhwc(const Tensor& x) {
  SUMI_CHECK(x.rank() == 4, "nchw_to_nhwc: {} has not four dimensions", x.shape().str());
  return transpose_last(x, {x.dim(0), x.dim(2), x.dim(3), x.dim(1)}, x.dim(1), x.dim(2) * x.dim(3));
}

Tensor nhwc_to_nchw(const Tensor& x) {
  SUMI_CHECK(x.rank() == 4, "nhwc_to_nchw: {} has not four dimensions", x.shape().str());
  return transpose_last(x, {x.dim(0), x.dim(3), x.dim(1), x.dim(2)}, x.dim(1) * x.dim(2), x.dim(3));
}

Tensor concat_channels(const Tensor& x, const Tensor& y) {
  check_f32("concat_channels", "x", x);
  check_f32("concat_channels", "y", y);
  check_host("concat_channels", x);
  const Device device = common_device("concat_channels", {&x, &y});
  const int64_t cx = x.dim(-1), cy = y.dim(-1), rows = x.numel() / cx;
  Shape shape = x.shape();
  shape[-1] = cy;
  SUMI_CHECK(shape == y.shape(), "concat_channels: {} and {} differ before the channels", x.shape().str(),
             y.shape().str());
  shape[-1] = cx + cy;
  const OpScope scope("concat_channels", x);
  Tensor out = Tensor::empty(shape, DType::kF32, device);
  constexpr int64_t kRows = 64;
  parallel_for((rows + kRows - 1) / kRows, [&](int64_t task) {
    for (int64_t row = task * kRows; row < std::min(rows, (task + 1) * kRows); ++row) {
      float* to = out.data<float>() + row * (cx + cy);
      std::copy_n(x.data<float>() + row * cx, cx, to);
      std::copy_n(y.data<float>() + row * cy, cy, to + cx);
    }
  });
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
  check_f32("slice_channels", "x", x);
  check_host("slice_channels", x);
  const int64_t channels = x.dim(-1), width = end - begin;
  SUMI_CHECK(0 <= begin && begin <= end && end <= channels, "slice_channels: {} to {} are not in {}", begin, end,
             x.shape().str());
  Shape shape = x.shape();
  shape[-1] = width;
  const OpScope scope("slice_channels", x);
  Tensor out = Tensor::empty(shape, DType::kF32, x.device());
  constexpr int64_t kRows = 64;
  const int64_t rows = x.numel() / std::max<int64_t>(1, channels);
  parallel_for((rows + kRows - 1) / kRows, [&](int64_t task) {
    for (int64_t row = task * kRows; row < std::min(rows, (task + 1) * kRows); ++row)
      std::copy_n(x.data<float>() + row * channels + begin, width, out.data<float>() + row * width);
  });
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

// Calls copy(row of the whole, row of the part, floats) for the rows that a part [top, …) x [left, …) shares.
template <class Copy>
void for_shared_rows(const char* op, const Tensor& whole, const Tensor& part, int64_t top, int64_t left,
                     const Copy& copy) {
  check_f32(op, "x", whole);
  check_host(op, whole);
  SUMI_CHECK(whole.rank() == 4 && part.rank() == 4 && part.dim(0) == whole.dim(0) && part.dim(3) == whole.dim(3) &&
                 top >= 0 && left >= 0 && top + part.dim(1) <= whole.dim(1) && left + part.dim(2) <= whole.dim(2),
             "{}: {} at row {} and column {} is not in {}", op, part.shape().str(), top, left, whole.shape().str());
  const int64_t channels = whole.dim(3), height = part.dim(1), width = part.dim(2);
  parallel_for(part.dim(0) * height, [&](int64_t row) {
    const int64_t at = ((row / height * whole.dim(1) + top + row % height) * whole.dim(2) + left) * channels;
    copy(at, row * width * channels, width * channels);
  });
}

}  // namespace

Tensor crop(const Tensor& x, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  SUMI_CHECK(x.rank() == 4 && top <= bottom && left <= right, "crop: {} has no rows {} to {}, columns {} to {}",
             x.shape().str(), top, bottom, left, right);
  Tensor out = Tensor::empty({x.dim(0), bottom - top, right - left, x.dim(3)}, DType::kF32, x.device());
  for_shared_rows("crop", x, out, top, left, [&](int64_t from, int64_t to, int64_t count) {
    std::copy_n(x.data<float>() + from, count, out.data<float>() + to);
  });
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
  check_f32("pick_pixels", "x", x);
  check_host("pick_pixels", x);
  SUMI_CHECK(x.rank() == 4 && 0 < height && height <= x.dim(1) && 0 < width && width <= x.dim(2),
             "pick_pixels: {} has not {}x{} pixels", x.shape().str(), height, width);
  const int64_t channels = x.dim(3);
  Tensor out = Tensor::empty({x.dim(0), height, width, channels}, DType::kF32, x.device());
  parallel_for(x.dim(0) * height, [&](int64_t row) {
    const int64_t line = row / height * x.dim(1) + row % height * x.dim(1) / height;
    for (int64_t column = 0; column < width; ++column) {
      std::copy_n(x.data<float>() + (line * x.dim(2) + column * x.dim(2) / width) * channels, channels,
                  out.data<float>() + (row * width + column) * channels);
    }
  });
  return out;
}

void paste(const Tensor& part, Tensor& whole, int64_t top, int64_t left) {
  for_shared_rows("paste", whole, part, top, left, [&](int64_t to, int64_t from, int64_t count) {
    std::copy_n(part.data<float>() + from, count, whole.data<float>() + to);
  });
}

Tensor concat_rows(const std::vector<Tensor>& parts) {
  SUMI_CHECK(!parts.empty(), "concat_rows: nothing to join");
  Shape shape = parts[0].shape();
  int64_t rows = 0;
  for (const Tensor& part : parts) {
    shape[0] = part.dim(0);
    SUMI_CHECK(part.shape() == shape && part.dtype() == parts[0].dtype(), "concat_rows: {} does not join {}",
               part.shape().str(), parts[0].shape().str());
    rows += part.dim(0);
  }
  shape[0] = rows;
  check_host("concat_rows", parts[0]);
  Tensor out = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  std::byte* to = out.raw();
  bool recorded = false;
  for (const Tensor& part : parts) {
    std::memcpy(to, part.raw(), static_cast<size_t>(part.bytes()));
    to += part.bytes();
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
  check_f32("upsample_nearest_2x", "x", x);
  check_host("upsample_nearest_2x", x);
  SUMI_CHECK(x.rank() == 4, "upsample_nearest_2x: {} has not four dimensions", x.shape().str());
  const int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3);
  const int64_t out_h = out_height < 0 ? 2 * height : out_height, out_w = out_width < 0 ? 2 * width : out_width;
  SUMI_CHECK((out_h + 1) / 2 == height && (out_w + 1) / 2 == width, "upsample_nearest_2x: {} cannot become {}x{}",
             x.shape().str(), out_h, out_w);
  const OpScope scope("upsample_nearest_2x", x);
  Tensor out = Tensor::empty({x.dim(0), out_h, out_w, channels}, DType::kF32, x.device());
  parallel_for(x.dim(0) * out_h, [&](int64_t row) {
    const float* from = x.data<float>() + (row / out_h * height + row % out_h / 2) * width * channels;
    float* to = out.data<float>() + row * out_w * channels;
    for (int64_t column = 0; column < out_w; ++column) {
      std::copy_n(from + column / 2 * channels, channels, to + column * channels);
    }
  });
  if (Tape* tape = Tape::recording({&x}))
    tape->record(out, [x](const Tensor& grad) { add_grad(x, sum_pool_2x2(grad)); });
  return out;
}

Tensor sum_pool_2x2(const Tensor& x) {
  check_f32("sum_pool_2x2", "x", x);
  check_host("sum_pool_2x2", x);
  SUMI_CHECK(x.rank() == 4, "sum_pool_2x2: {} has not four dimensions", x.shape().str());
  const int64_t in_h = x.dim(1), in_w = x.dim(2), height = (in_h + 1) / 2, width = (in_w + 1) / 2, channels = x.dim(3);
  const OpScope scope("sum_pool_2x2", x);
  Tensor out = Tensor::zeros({x.dim(0), height, width, channels}, DType::kF32, x.device());
  parallel_for(x.dim(0) * height, [&](int64_t row) {
    for (int64_t y = row % height * 2; y < std::min(in_h, row % height * 2 + 2); ++y) {
      const float* from = x.data<float>() + (row / height * in_h + y) * in_w * channels;
      for (int64_t column = 0; column < in_w; ++column) {
        float* to = out.data<float>() + (row * width + column / 2) * channels;
        for (int64_t c = 0; c < channels; ++c) to[c] += from[column * channels + c];
      }
    }
  });
  return out;
}

Tensor mean_pool_2x2(const Tensor& x) {
  check_f32("mean_pool_2x2", "x", x);
  check_host("mean_pool_2x2", x);
  SUMI_CHECK(x.rank() == 4, "mean_pool_2x2: {} has not four dimensions", x.shape().str());
  const int64_t in_h = x.dim(1), in_w = x.dim(2), height = in_h / 2, width = in_w / 2, channels = x.dim(3);
  const OpScope scope("mean_pool_2x2", x);
  Tensor out = Tensor::empty({x.dim(0), height, width, channels}, DType::kF32, x.device());
  parallel_for(x.dim(0) * height, [&](int64_t row) {
    const float* above = x.data<float>() + (row / height * in_h + row % height * 2) * in_w * channels;
    const float* below = above + in_w * channels;
    float* to = out.data<float>() + row * width * channels;
    for (int64_t column = 0; column < width; ++column, above += 2 * channels, below += 2 * channels, to += channels) {
      for (int64_t c = 0; c < channels; ++c)
        to[c] = 0.25f * (above[c] + above[channels + c] + below[c] + below[channels + c]);
    }
  });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(out, [x](const Tensor& grad) {
      SUMI_CHECK_KIND(kUsage, x.dim(1) % 2 == 0 && x.dim(2) % 2 == 0, "mean_pool_2x2: no gradient for odd sides: {}",
                      x.shape().str());
      add_grad(x, upsample_nearest_2x(grad * 0.25f));
    });
  }
  return out;
}

Tensor cast(const Tensor& x, DType dtype) {
  check_host("cast", x);
  if (x.dtype() == dtype) return x;
  Tensor out = Tensor::empty(x.shape(), dtype, x.device());
  const DType from = x.dtype();
  if (from == DType::kF16 && dtype == DType::kF32) {
    convert<Half, float>(x, out, [](Half v) { return to_float(v); });
  } else if (from == DType::kBF16 && dtype == DType::kF32) {
    convert<BFloat16, float>(x, out, [](BFloat16 v) { return to_float(v); });
  } else if (from == DType::kF64 && dtype == DType::kF32) {
    convert<double, float>(x, out, [](double v) { return static_cast<float>(v); });
  } else if (from == DType::kF32 && dtype == DType::kF16) {
    convert<float, Half>(x, out, [](float v) { return to_half(v); });
  } else if (from == DType::kF32 && dtype == DType::kBF16) {
    convert<float, BFloat16>(x, out, [](float v) { return to_bfloat16(v); });
  } else if (from == DType::kF32 && dtype == DType::kQ8) {
    convert_blocks<BlockQ8>(x, out, [](const float* v, BlockQ8* block) { *block = quantize_q8(v); });
  } else if (from == DType::kF32 && dtype == DType::kQ4) {
    convert_blocks<BlockQ4>(x, out, [](const float* v, BlockQ4* block) { *block = quantize_q4(v); });
  } else if (from == DType::kQ8 && dtype == DType::kF32) {
    convert_blocks<BlockQ8>(x, out, [](float* v, const BlockQ8* block) { dequantize(*block, v); });
  } else if (from == DType::kQ4 && dtype == DType::kF32) {
    convert_blocks<BlockQ4>(x, out, [](float* v, const BlockQ4* block) { dequantize(*block, v); });
  } else {
    fail(ErrorKind::kData, "cast: from {} to {} is not offered", name_of(from), name_of(dtype));
  }
  return out;
}

}  // namespace sumi
