// Reference kernels: linear layers and convolution as they are defined, accumulated in double.
#include "ops/matmul.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/ref/act.h"
#include "backend/ref/typed.h"
#include "core/quantized.h"
#include "ops/conv.h"

namespace sumi::backend::ref {
namespace {

std::vector<double> widen(const WeightView& weight) {
  std::vector<double> out(static_cast<size_t>(weight.count));
  if (is_quantized(weight.dtype)) {
    const auto block = static_cast<size_t>(block_of(weight.dtype));
    const auto bytes = static_cast<size_t>(bytes_of_block(weight.dtype));
    float values[kSuperBlock];
    for (size_t i = 0; i < out.size(); i += block) {
      dequantize_block(weight.dtype, weight.data<uint8_t>() + i / block * bytes, values);
      std::copy_n(values, block, out.begin() + static_cast<ptrdiff_t>(i));
    }
    return out;
  }
  with_activation_type(weight.dtype, [&](auto type) {
    const In<decltype(type)> from(weight);
    for (size_t i = 0; i < out.size(); ++i) out[i] = from[static_cast<int64_t>(i)];
  });
  return out;
}

// The weight with its change added.
std::vector<double> changed_weight(const LinearArgs& a) {
  std::vector<double> weight = widen(a.weight);
  const std::vector<double> down = widen(a.down), up = widen(a.up);
  for (int64_t n = 0; n < a.n; ++n) {
    for (int64_t k = 0; k < a.k; ++k) {
      double sum = 0.0;
      for (int64_t r = 0; r < a.rank; ++r)
        sum += up[static_cast<size_t>(n * a.rank + r)] * down[static_cast<size_t>(r * a.k + k)];
      weight[static_cast<size_t>(n * a.k + k)] += a.scale * sum;
    }
  }
  return weight;
}

template <class T> void multiply(Context& context, const LinearArgs& a) {
  const std::vector<double> weight = a.rank > 0 ? changed_weight(a) : widen(a.weight);
  const In<T> x(a.x), residual(a.residual);
  const Out<T> out(a.out);
  context.parallel_for(a.m, [&](int64_t row) {
    for (int64_t n = 0; n < a.n; ++n) {
      double sum = a.bias ? a.bias.f32()[n] : 0.0;
      for (int64_t k = 0; k < a.k; ++k) sum += x[row * a.k + k] * weight[static_cast<size_t>(n * a.k + k)];
      out.set(row * a.n + n, act(sum, a.act) + (residual ? residual[row * a.n + n] : 0.0));
    }
  });
}

void linear(Context& context, const LinearArgs& args) {
  with_activation_type(args.x.dtype, [&](auto type) { multiply<decltype(type)>(context, args); });
}

template <class T> void convolve(Context& context, const ConvArgs& a) {
  const std::vector<double> weight = widen(a.weight);
  const In<T> in(a.x), residual(a.residual);
  const Out<T> out(a.out);
  context.parallel_for(a.batch * a.out_h, [&](int64_t line) {
    const int64_t n = line / a.out_h, y = line % a.out_h;
    for (int64_t x = 0; x < a.out_w; ++x) {
      for (int64_t o = 0; o < a.out_c; ++o) {
        double sum = a.bias ? a.bias.f32()[o] : 0.0;
        for (int64_t i = 0; i < a.in_c; ++i) {
          for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
            const int64_t in_y = y * a.stride + ky - a.pad;
            if (in_y < 0 || in_y >= a.in_h) continue;
            for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
              const int64_t in_x = x * a.stride + kx - a.pad;
              if (in_x < 0 || in_x >= a.in_w) continue;
              sum += in[((n * a.in_h + in_y) * a.in_w + in_x) * a.in_c + i] *
                     weight[static_cast<size_t>(((o * a.in_c + i) * a.kernel_h + ky) * a.kernel_w + kx)];
            }
          }
        }
        const int64_t at = (line * a.out_w + x) * a.out_c + o;
        out.set(at, sum + (residual ? residual[at] : 0.0));
      }
    }
  });
}

void conv2d(Context& context, const ConvArgs& args) {
  with_activation_type(args.x.dtype, [&](auto type) { convolve<decltype(type)>(context, args); });
}

const KernelRegistration kLinear(linear_slot, Device::kRef, linear);
const KernelRegistration kConv(conv2d_slot, Device::kRef, conv2d);

}  // namespace
}  // namespace sumi::backend::ref
