// Reference kernels: linear layers and convolution as they are defined, accumulated in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "core/quantized.h"
#include "ops/conv.h"

namespace sumi::backend::ref {
namespace {

std::vector<double> widen(WeightView weight, int64_t count) {
  std::vector<double> out(static_cast<size_t>(count));
  if (is_quantized(weight.dtype)) {
    float values[kQuantBlock];
    for (size_t i = 0; i < out.size(); i += kQuantBlock) {
      if (weight.dtype == DType::kQ8) {
        dequantize(static_cast<const BlockQ8*>(weight.data)[i / kQuantBlock], values);
      } else {
        dequantize(static_cast<const BlockQ4*>(weight.data)[i / kQuantBlock], values);
      }
      std::copy_n(values, kQuantBlock, out.begin() + static_cast<ptrdiff_t>(i));
    }
    return out;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    switch (weight.dtype) {
      case DType::kF16: out[i] = to_float(static_cast<const Half*>(weight.data)[i]); break;
      case DType::kBF16: out[i] = to_float(static_cast<const BFloat16*>(weight.data)[i]); break;
      default: out[i] = static_cast<const float*>(weight.data)[i];
    }
  }
  return out;
}

void linear(const LinearArgs& a) {
  const std::vector<double> weight = widen(a.weight, a.n * a.k);
  parallel_for(a.m, [&](int64_t row) {
    for (int64_t n = 0; n < a.n; ++n) {
      double sum = a.bias ? a.bias[n] : 0.0;
      for (int64_t k = 0; k < a.k; ++k) sum += a.x[row * a.k + k] * weight[static_cast<size_t>(n * a.k + k)];
      a.out[row * a.n + n] = static_cast<float>(sum);
    }
    if (a.act != Act::kNone) activate_slot.on(Device::kRef)(a.out + row * a.n, a.out + row * a.n, a.n, a.act);
    for (int64_t n = 0; a.residual && n < a.n; ++n) a.out[row * a.n + n] += a.residual[row * a.n + n];
  });
}

void conv2d(const ConvArgs& a) {
  const std::vector<double> weight = widen(a.weight, a.out_c * a.in_c * a.kernel_h * a.kernel_w);
  parallel_for(a.batch * a.out_h, [&](int64_t line) {
    const int64_t n = line / a.out_h, y = line % a.out_h;
    for (int64_t x = 0; x < a.out_w; ++x) {
      for (int64_t o = 0; o < a.out_c; ++o) {
        double sum = a.bias ? a.bias[o] : 0.0;
        for (int64_t i = 0; i < a.in_c; ++i) {
          for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
            const int64_t in_y = y * a.stride + ky - a.pad;
            if (in_y < 0 || in_y >= a.in_h) continue;
            for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
              const int64_t in_x = x * a.stride + kx - a.pad;
              if (in_x < 0 || in_x >= a.in_w) continue;
              sum += a.x[((n * a.in_h + in_y) * a.in_w + in_x) * a.in_c + i] *
                     weight[static_cast<size_t>(((o * a.in_c + i) * a.kernel_h + ky) * a.kernel_w + kx)];
            }
          }
        }
        const int64_t at = (line * a.out_w + x) * a.out_c + o;
        a.out[at] = static_cast<float>(sum + (a.residual ? a.residual[at] : 0.0f));
      }
    }
  });
}

const KernelRegistration kLinear(linear_slot, Device::kRef, linear);
const KernelRegistration kConv(conv2d_slot, Device::kRef, conv2d);

}  // namespace
}  // namespace sumi::backend::ref
