// Group and layer normalisation.
//
// GroupNorm reads the picture twice (statistics, then the result) and writes it once. Statistics are summed in double,
// per channel over blocks of pixels, then over blocks in order: at 512x512 a float sum of squares would lose the
// variance. The conversion hides behind memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/norm.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/math-inl.h"
#include "base/parallel.h"
#include "hwy/highway.h"
#include "ops/norm.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kPixelBlock = 256;

using F64 = hn::CappedTag<double, 8>;
using F32Half = hn::Rebind<float, F64>;

// sums[c] and sums[channels + c]: Σ x and Σ x² of each channel over `pixels` rows.
void channel_sums(const float* x, int64_t pixels, int64_t channels, double* HWY_RESTRICT sums) {
  const F64 d;
  const F32Half df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  std::fill_n(sums, 2 * channels, 0.0);
  constexpr int64_t kRowsATime = 16;
  for (int64_t p0 = 0; p0 < pixels; p0 += kRowsATime) {
    const int64_t p1 = std::min(pixels, p0 + kRowsATime);
    int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) {
      auto sum = hn::LoadU(d, sums + c), squares = hn::LoadU(d, sums + channels + c);
      for (int64_t p = p0; p < p1; ++p) {
        const auto value = hn::PromoteTo(d, hn::LoadU(df, x + p * channels + c));
        sum = hn::Add(sum, value);
        squares = hn::MulAdd(value, value, squares);
      }
      hn::StoreU(sum, d, sums + c);
      hn::StoreU(squares, d, sums + channels + c);
    }
    for (; c < channels; ++c) {
      for (int64_t p = p0; p < p1; ++p) {
        const double value = x[p * channels + c];
        sums[c] += value;
        sums[channels + c] += value * value;
      }
    }
  }
}

// From the sums of a sample's blocks to y = scale[c]·x + shift[c].
void scales_of_sample(const GroupNormArgs& a, const double* sums, int64_t blocks, float* scale, float* shift) {
  const int64_t width = a.channels / a.groups;
  for (int64_t g = 0; g < a.groups; ++g) {
    double sum = 0.0, squares = 0.0;
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t c = g * width; c < (g + 1) * width; ++c) {
        sum += sums[block * 2 * a.channels + c];
        squares += sums[block * 2 * a.channels + a.channels + c];
      }
    }
    const double count = static_cast<double>(a.pixels * width), mean = sum / count;
    const double variance = std::max(0.0, squares / count - mean * mean);
    const double inverse = 1.0 / std::sqrt(variance + a.eps);
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      scale[c] = static_cast<float>(inverse * a.gain[c]);
      shift[c] = static_cast<float>(a.bias[c] - mean * inverse * a.gain[c]);
    }
  }
}

void run_group_norm(const GroupNormArgs& a) {
  const int64_t blocks = (a.pixels + kPixelBlock - 1) / kPixelBlock;
  std::vector<double> sums(static_cast<size_t>(a.batch * blocks * 2 * a.channels));
  std::vector<float> scales(static_cast<size_t>(a.batch * 2 * a.channels));
  const auto rows_of = [&](int64_t task) { return std::min(kPixelBlock, a.pixels - task % blocks * kPixelBlock); };
  const auto offset_of = [&](int64_t task) {
    return (task / blocks * a.pixels + task % blocks * kPixelBlock) * a.channels;
  };
  parallel_for(a.batch * blocks, [&](int64_t task) {
    channel_sums(a.x + offset_of(task), rows_of(task), a.channels, sums.data() + task * 2 * a.channels);
  });
  parallel_for(a.batch, [&](int64_t n) {
    float* scale = scales.data() + n * 2 * a.channels;
    scales_of_sample(a, sums.data() + n * blocks * 2 * a.channels, blocks, scale, scale + a.channels);
  });
  parallel_for(a.batch * blocks, [&](int64_t task) HWY_ATTR {
    const float* scale = scales.data() + task / blocks * 2 * a.channels;
    const float* shift = scale + a.channels;
    const int64_t end = rows_of(task);
    for (int64_t p = 0; p < end; ++p) {
      const float* x = a.x + offset_of(task) + p * a.channels;
      float* out = a.out + offset_of(task) + p * a.channels;
      for_lanes(a.channels, [&](auto d, int64_t c) HWY_ATTR {
        const auto y = hn::MulAdd(hn::LoadU(d, x + c), hn::LoadU(d, scale + c), hn::LoadU(d, shift + c));
        hn::StoreU(apply_act(d, y, a.act), d, out + c);
      });
    }
  });
}

void layer_norm_row(const float* x, const float* gain, const float* bias, float* out, int64_t channels, double eps) {
  const F64 d;
  const F32Half df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sums = hn::Zero(d);
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) sums = hn::Add(sums, hn::PromoteTo(d, hn::LoadU(df, x + c)));
  double mean = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; c < channels; ++c) mean += x[c];
  mean /= static_cast<double>(channels);
  const auto center = hn::Set(d, mean);
  auto squares = hn::Zero(d);
  for (c = 0; c + lanes <= channels; c += lanes) {
    const auto off = hn::Sub(hn::PromoteTo(d, hn::LoadU(df, x + c)), center);
    squares = hn::MulAdd(off, off, squares);
  }
  double variance = hn::GetLane(hn::SumOfLanes(d, squares));
  for (; c < channels; ++c) variance += (x[c] - mean) * (x[c] - mean);
  const float inverse = static_cast<float>(1.0 / std::sqrt(variance / static_cast<double>(channels) + eps));
  const float middle = static_cast<float>(mean);
  for_lanes(channels, [&](auto v, int64_t i) HWY_ATTR {
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(v, x + i), hn::Set(v, middle)), hn::Set(v, inverse));
    hn::StoreU(hn::MulAdd(normal, hn::LoadU(v, gain + i), hn::LoadU(v, bias + i)), v, out + i);
  });
}

void run_layer_norm(const float* x, const float* gain, const float* bias, float* out, int64_t rows, int64_t channels,
                    double eps) {
  constexpr int64_t kRowsATask = 32;
  parallel_for((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task) {
    for (int64_t row = task * kRowsATask; row < std::min(rows, (task + 1) * kRowsATask); ++row) {
      layer_norm_row(x + row * channels, gain, bias, out + row * channels, channels, eps);
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

void group_norm(const GroupNormArgs& args) { HWY_DYNAMIC_DISPATCH(run_group_norm)(args); }
void layer_norm(const float* x, const float* gain, const float* bias, float* out, int64_t rows, int64_t channels,
                double eps) {
  HWY_DYNAMIC_DISPATCH(run_layer_norm)(x, gain, bias, out, rows, channels, eps);
}

const KernelRegistration kGroupNorm(group_norm_slot, Device::kCpu, group_norm);
const KernelRegistration kLayerNorm(layer_norm_slot, Device::kCpu, layer_norm);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
