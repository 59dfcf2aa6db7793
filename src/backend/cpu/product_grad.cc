// Gradients of the weights of linear layers and convolutions (3x3 of stride 1 mostly use winograd_grad.cc), as one
// blocked product over all pixels: outputs are the rows, taps and input channels the columns. Both operands lie with
// the channels together, which is how the register tile reads them: packing is copying.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/product_grad.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cstring>

#include "backend/cpu/product-inl.h"
#include "backend/cpu/winograd_grad.h"
#include "hwy/highway.h"
#include "ops/conv_grad.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// to[0 … kWidth) = from[0 … available), zeros after.
template <int kWidth> HWY_INLINE void copy_columns(const float* from, int64_t available, float* to) {
  if (available >= kWidth) {
    std::memcpy(to, from, sizeof(float) * kWidth);
    return;
  }
  for (int64_t i = 0; i < kWidth; ++i) to[i] = i < available ? from[i] : 0.0f;
}

void run_conv_grad_weight(const Context& context, const ConvGradWeightArgs& a) {
  const int64_t pixels = a.batch * a.out_h * a.out_w, taps = a.kernel_h * a.kernel_w;
  const int64_t width = taps == 1 ? a.in_c : round_up(a.in_c, kCols);  // of a tap: panels do not cross taps
  if (a.out_c == 0 || a.in_c == 0) return;
  const float *pictures = a.x.f32(), *pulls = a.dy.f32();
  float* dweight = a.dweight.f32();
  if (pixels == 0) return void(std::fill_n(dweight, a.out_c * a.in_c * taps, 0.0f));
  const bool in_place = taps == 1;
  float* sums = in_place ? dweight : shared_scratch(static_cast<size_t>(a.out_c * taps * width));
  const auto pack_strip = [&](int64_t output, int64_t, int64_t p0, int64_t count, float* strip) {
    for (int64_t p = 0; p < count; ++p)
      copy_columns<kRows>(pulls + (p0 + p) * a.out_c + output, a.out_c - output, strip + p * kRows);
    return Ahead{{}, 0};
  };
  const auto pack_panel = [&](int64_t column, int64_t p0, int64_t count, float* panel, float*) {
    const int64_t tap = column / width, channel = column % width, available = a.in_c - channel;
    const int64_t dy = tap / a.kernel_w - a.pad, dx = tap % a.kernel_w - a.pad;
    int64_t x = p0 % a.out_w, y = p0 / a.out_w % a.out_h, n = p0 / a.out_w / a.out_h;
    for (int64_t p = 0; p < count; ++p, panel += kCols) {
      const int64_t in_y = y * a.stride + dy, in_x = x * a.stride + dx;
      const bool inside = in_y >= 0 && in_y < a.in_h && in_x >= 0 && in_x < a.in_w;
      const float* from = pictures + ((n * a.in_h + in_y) * a.in_w + in_x) * a.in_c + channel;
      copy_columns<kCols>(from, inside ? available : 0, panel);
      if (++x < a.out_w) continue;
      x = 0;
      if (++y < a.out_h) continue;
      y = 0;
      ++n;
    }
  };
  blocked_product(context, a.out_c, taps * width, {pixels, 1}, sums, pack_panel, pack_strip,
                  [](int64_t, int64_t, int64_t, int64_t) {});
  if (in_place) return;
  context.parallel_for(a.out_c, [&](int64_t o) {
    const float* from = sums + o * taps * width;
    float* to = dweight + o * a.in_c * taps;
    for (int64_t i = 0; i < a.in_c; ++i) {
      for (int64_t t = 0; t < taps; ++t) to[i * taps + t] = from[t * width + i];
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_conv_grad_weight);

void conv2d_grad_weight(Context& context, const ConvGradWeightArgs& args) {
  const bool wanted = context.convolutions == ConvAlgorithm::kAuto ? winograd_grad_weight_pays(args)
                                                                   : context.convolutions == ConvAlgorithm::kWinograd;
  if (wanted && winograd_grad_weight_applies(args)) return winograd_grad_weight(context, args);
  HWY_DYNAMIC_DISPATCH(run_conv_grad_weight)(context, args);
}

const KernelRegistration kConvGradWeight(conv2d_grad_weight_slot, Device::kCpu, conv2d_grad_weight);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
