// Statistics of the values that are normalised together, summed in double: per channel over blocks of pixels, then over
// blocks in order. At 512x512 a float sum of squares would lose the variance; the conversion hides behind memory.

#if defined(SUMI_CPU_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_NORM_INL_H_
#undef SUMI_CPU_NORM_INL_H_
#else
#define SUMI_CPU_NORM_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/context.h"
#include "hwy/highway.h"
#include "ops/norm.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kPixelBlock = 256;

using F64 = hn::CappedTag<double, 8>;
using F32Half = hn::Rebind<float, F64>;

// sums[c] and sums[channels + c]: Σ x and Σ x² of each channel over `pixels` rows.
inline void channel_sums(const float* x, int64_t pixels, int64_t channels, double* HWY_RESTRICT sums) {
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

// Σ x and Σ x² of every channel over every block of pixels.
class GroupSums {
 public:
  // Without `wanted` nothing is summed, and the statistics are those given.
  explicit GroupSums(const Context& context, const GroupNormArgs& a, bool wanted = true)
      : a_(a),
        given_(a.statistics.data<double>()),
        blocks_((a.pixels + kPixelBlock - 1) / kPixelBlock),
        sums_(static_cast<size_t>(wanted ? a.batch * blocks_ * 2 * a.channels : 0)) {
    if (!wanted) return;
    const float* x = a.x.f32();
    context.parallel_for(a.batch * blocks_, [&](int64_t task) {
      channel_sums(x + offset_of(task), rows_of(task), a_.channels, sums_.data() + task * 2 * a_.channels);
    });
  }

  int64_t blocks() const { return blocks_; }
  // Pixels of a block, numbered through all samples, and where its values begin.
  int64_t rows_of(int64_t task) const { return std::min(kPixelBlock, a_.pixels - task % blocks_ * kPixelBlock); }
  int64_t offset_of(int64_t task) const {
    return (task / blocks_ * a_.pixels + task % blocks_ * kPixelBlock) * a_.channels;
  }

  // Mean and 1/√(variance + eps) of group g of sample n.
  std::pair<double, double> statistics(int64_t n, int64_t g) const {
    if (given_ != nullptr) {
      const double* given = given_ + 2 * (n * a_.groups + g);
      return {given[0], 1.0 / std::sqrt(given[1] + a_.eps)};
    }
    const int64_t width = a_.channels / a_.groups;
    double sum = 0.0, squares = 0.0;
    for (int64_t block = n * blocks_; block < (n + 1) * blocks_; ++block) {
      const double* sums = sums_.data() + block * 2 * a_.channels;
      for (int64_t c = g * width; c < (g + 1) * width; ++c) {
        sum += sums[c];
        squares += sums[a_.channels + c];
      }
    }
    const double count = static_cast<double>(a_.pixels * width), mean = sum / count;
    return {mean, 1.0 / std::sqrt(std::max(0.0, squares / count - mean * mean) + a_.eps)};
  }

 private:
  const GroupNormArgs& a_;
  const double* given_;
  int64_t blocks_;
  std::vector<double> sums_;
};

// Mean and 1/√(variance + eps) of a row.
inline std::pair<double, double> row_statistics(const float* x, int64_t channels, double eps) {
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
  return {mean, 1.0 / std::sqrt(variance / static_cast<double>(channels) + eps)};
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
