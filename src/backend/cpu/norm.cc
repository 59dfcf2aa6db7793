// Group and layer normalisation.
//
// GroupNorm reads the picture twice (statistics, then the result) and writes it once.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/norm.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/f32_only.h"
#include "backend/cpu/math-inl.h"
#include "backend/cpu/norm-inl.h"
#include "hwy/highway.h"
#include "ops/norm.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

void run_group_norm(const Context& context, const GroupNormArgs& a) {
  const GroupSums sums(context, a, !a.statistics);
  const float *pixels = a.x.f32(), *gain = a.gain.f32(), *bias = a.bias.f32();
  float* result = a.out.f32();
  const int64_t blocks = sums.blocks(), width = a.channels / a.groups;
  std::vector<float> scales(static_cast<size_t>(a.batch * 2 * a.channels));
  context.parallel_for(a.batch, [&](int64_t n) {
    float *scale = scales.data() + n * 2 * a.channels, *shift = scale + a.channels;  // y = scale·x + shift
    for (int64_t g = 0; g < a.groups; ++g) {
      const auto [mean, inverse] = sums.statistics(n, g);
      for (int64_t c = g * width; c < (g + 1) * width; ++c) {
        scale[c] = static_cast<float>(inverse * gain[c]);
        shift[c] = static_cast<float>(bias[c] - mean * inverse * gain[c]);
      }
    }
  });
  context.parallel_for(a.batch * blocks, [&](int64_t task) HWY_ATTR {
    const float* scale = scales.data() + task / blocks * 2 * a.channels;
    const float* shift = scale + a.channels;
    const int64_t end = sums.rows_of(task);
    for (int64_t p = 0; p < end; ++p) {
      const float* x = pixels + sums.offset_of(task) + p * a.channels;
      float* out = result + sums.offset_of(task) + p * a.channels;
      for_lanes(a.channels, [&](auto d, int64_t c) HWY_ATTR {
        const auto y = hn::MulAdd(hn::LoadU(d, x + c), hn::LoadU(d, scale + c), hn::LoadU(d, shift + c));
        hn::StoreU(apply_act(d, y, a.act), d, out + c);
      });
    }
  });
}

void layer_norm_row(const float* x, const float* gain, const float* bias, float* out, int64_t channels, double eps) {
  const auto [mean, scale] = row_statistics(x, channels, eps);
  const float middle = static_cast<float>(mean), inverse = static_cast<float>(scale);
  for_lanes(channels, [&](auto v, int64_t i) HWY_ATTR {
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(v, x + i), hn::Set(v, middle)), hn::Set(v, inverse));
    hn::StoreU(hn::MulAdd(normal, hn::LoadU(v, gain + i), hn::LoadU(v, bias + i)), v, out + i);
  });
}

void run_layer_norm(const Context& context, const LayerNormArgs& args) {
  constexpr int64_t kRowsATask = 32;
  const float *x = args.x.f32(), *gain = args.gain.f32(), *bias = args.bias.f32();
  float* out = args.out.f32();
  const int64_t rows = args.rows, channels = args.channels;
  context.parallel_for((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task) {
    for (int64_t row = task * kRowsATask; row < std::min(rows, (task + 1) * kRowsATask); ++row) {
      layer_norm_row(x + row * channels, gain, bias, out + row * channels, channels, args.eps);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_group_norm);
HWY_EXPORT(run_layer_norm);

void group_norm(Context& context, const GroupNormArgs& args) { HWY_DYNAMIC_DISPATCH(run_group_norm)(context, args); }
void layer_norm(Context& context, const LayerNormArgs& args) { HWY_DYNAMIC_DISPATCH(run_layer_norm)(context, args); }

const KernelRegistration kGroupNorm(group_norm_slot, Device::kCpu, f32_only<GroupNormArgs, group_norm>);
const KernelRegistration kLayerNorm(layer_norm_slot, Device::kCpu, f32_only<LayerNormArgs, layer_norm>);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
