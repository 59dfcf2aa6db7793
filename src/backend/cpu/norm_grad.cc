// Gradients of group and layer normalisation.
//
// With x̂ the normalised values and g the gradient that reaches them (through gain and activation), what reaches x is
// inverse · (g - mean(g) - x̂·mean(g·x̂)) over each set that is normalised together. GroupNorm reads x and dy three
// times: statistics, sums of g and g·x̂ by channel, the result; sums are in float over a block of pixels and in double
// over blocks, in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/norm_grad.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/math-inl.h"
#include "backend/cpu/norm-inl.h"
#include "hwy/highway.h"
#include "ops/norm.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

class GroupNormGrad {
 public:
  explicit GroupNormGrad(const GroupNormGradArgs& args)
      : args_(args),
        a_(args.forward),
        x_(a_.x.f32()),
        gain_(a_.gain.f32()),
        bias_(a_.bias.f32()),
        dy_(args.dy.f32()),
        dx_(args.dx.f32()),
        blocks_((a_.pixels + kPixelBlock - 1) / kPixelBlock) {}

  void run(const Context& context) {
    const GroupSums forward(context, a_);
    const size_t size = static_cast<size_t>(a_.batch * a_.channels);
    mean_.resize(size);
    inverse_.resize(size);
    for (int64_t n = 0; n < a_.batch; ++n) {
      for (int64_t g = 0; g < a_.groups; ++g) {
        const auto [mean, inverse] = forward.statistics(n, g);
        std::fill_n(mean_.begin() + n * a_.channels + g * width(), width(), static_cast<float>(mean));
        std::fill_n(inverse_.begin() + n * a_.channels + g * width(), width(), static_cast<float>(inverse));
      }
    }
    sums_.assign(static_cast<size_t>(a_.batch * blocks_ * 2 * a_.channels), 0.0f);
    context.parallel_for(a_.batch * blocks_, [&](int64_t task) { sum_block(task); });
    combine();
    context.parallel_for(a_.batch * blocks_, [&](int64_t task) { write_block(task); });
  }

 private:
  int64_t width() const { return a_.channels / a_.groups; }

  // Calls f(d, c, x̂, dy·act') for the lanes of a pixel of sample n.
  template <class F> HWY_INLINE void for_pixel(int64_t n, int64_t pixel, const F& f) const {
    const float *x = x_ + (n * a_.pixels + pixel) * a_.channels, *dy = dy_ + (n * a_.pixels + pixel) * a_.channels;
    const float *mean = mean_.data() + n * a_.channels, *inverse = inverse_.data() + n * a_.channels;
    for_lanes(a_.channels, [&](auto d, int64_t c) HWY_ATTR {
      const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, x + c), hn::LoadU(d, mean + c)), hn::LoadU(d, inverse + c));
      auto pull = hn::LoadU(d, dy + c);
      if (a_.act != Act::kNone) {
        const auto y = hn::MulAdd(normal, hn::LoadU(d, gain_ + c), hn::LoadU(d, bias_ + c));
        pull = hn::Mul(pull, act_slope(d, y, a_.act));
      }
      f(d, c, normal, pull);
    });
  }

  // [block][dbias | dgain][channel]
  void sum_block(int64_t task) {
    const int64_t n = task / blocks_, begin = task % blocks_ * kPixelBlock,
                  end = std::min(a_.pixels, begin + kPixelBlock);
    float *dbias = sums_.data() + task * 2 * a_.channels, *dgain = dbias + a_.channels;
    for (int64_t p = begin; p < end; ++p) {
      for_pixel(n, p, [&](auto d, int64_t c, auto normal, auto pull) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, dbias + c), pull), d, dbias + c);
        hn::StoreU(hn::MulAdd(pull, normal, hn::LoadU(d, dgain + c)), d, dgain + c);
      });
    }
  }

  void combine() {
    std::vector<double> dgain(static_cast<size_t>(a_.channels)), dbias(dgain);
    offset_.resize(mean_.size());
    slope_.resize(mean_.size());
    for (int64_t n = 0; n < a_.batch; ++n) {
      for (int64_t g = 0; g < a_.groups; ++g) {
        double sum = 0.0, along = 0.0;
        for (int64_t c = g * width(); c < (g + 1) * width(); ++c) {
          double bias = 0.0, gain = 0.0;
          for (int64_t block = 0; block < blocks_; ++block) {
            const float* sums = sums_.data() + (n * blocks_ + block) * 2 * a_.channels;
            bias += sums[c];
            gain += sums[a_.channels + c];
          }
          dbias[static_cast<size_t>(c)] += bias;
          dgain[static_cast<size_t>(c)] += gain;
          sum += bias * gain_[c];
          along += gain * gain_[c];
        }
        const double count = static_cast<double>(a_.pixels * width());
        std::fill_n(offset_.begin() + n * a_.channels + g * width(), width(), static_cast<float>(sum / count));
        std::fill_n(slope_.begin() + n * a_.channels + g * width(), width(), static_cast<float>(along / count));
      }
    }
    std::copy(dgain.begin(), dgain.end(), args_.dgain.f32());
    std::copy(dbias.begin(), dbias.end(), args_.dbias.f32());
  }

  void write_block(int64_t task) const {
    const int64_t n = task / blocks_, begin = task % blocks_ * kPixelBlock,
                  end = std::min(a_.pixels, begin + kPixelBlock);
    const float *offset = offset_.data() + n * a_.channels, *slope = slope_.data() + n * a_.channels,
                *inverse = inverse_.data() + n * a_.channels;
    for (int64_t p = begin; p < end; ++p) {
      float* dx = dx_ + (n * a_.pixels + p) * a_.channels;
      for_pixel(n, p, [&](auto d, int64_t c, auto normal, auto pull) HWY_ATTR {
        auto value = hn::MulSub(pull, hn::LoadU(d, gain_ + c), hn::LoadU(d, offset + c));
        value = hn::NegMulAdd(normal, hn::LoadU(d, slope + c), value);
        hn::StoreU(hn::Mul(value, hn::LoadU(d, inverse + c)), d, dx + c);
      });
    }
  }

  const GroupNormGradArgs& args_;
  const GroupNormArgs& a_;
  const float *x_, *gain_, *bias_, *dy_;
  float* dx_;
  int64_t blocks_;
  std::vector<float> mean_, inverse_, offset_, slope_;  // by sample and channel
  std::vector<float> sums_;
};

void run_group_norm_grad(const Context& context, const GroupNormGradArgs& args) { GroupNormGrad(args).run(context); }

// One row; adds to dgain and dbias.
void layer_norm_grad_row(const LayerNormGradArgs& a, int64_t row, float* dgain, float* dbias) {
  const float *x = a.x.f32() + row * a.channels, *dy = a.dy.f32() + row * a.channels, *gain = a.gain.f32();
  float* dx = a.dx.f32() + row * a.channels;
  const auto [mean, inverse] = row_statistics(x, a.channels, a.eps);
  const float middle = static_cast<float>(mean), factor = static_cast<float>(inverse);
  double sum = 0.0, along = 0.0;
  for_lanes(a.channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, x + c), hn::Set(d, middle)), hn::Set(d, factor));
    const auto pull = hn::LoadU(d, dy + c), gained = hn::Mul(pull, hn::LoadU(d, gain + c));
    hn::StoreU(hn::Add(hn::LoadU(d, dbias + c), pull), d, dbias + c);
    hn::StoreU(hn::MulAdd(pull, normal, hn::LoadU(d, dgain + c)), d, dgain + c);
    sum += hn::GetLane(hn::SumOfLanes(d, gained));
    along += hn::GetLane(hn::SumOfLanes(d, hn::Mul(gained, normal)));
  });
  const float offset = static_cast<float>(sum / static_cast<double>(a.channels)),
              slope = static_cast<float>(along / static_cast<double>(a.channels));
  for_lanes(a.channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, x + c), hn::Set(d, middle)), hn::Set(d, factor));
    auto value = hn::MulSub(hn::LoadU(d, dy + c), hn::LoadU(d, gain + c), hn::Set(d, offset));
    value = hn::NegMulAdd(normal, hn::Set(d, slope), value);
    hn::StoreU(hn::Mul(value, hn::Set(d, factor)), d, dx + c);
  });
}

void run_layer_norm_grad(const Context& context, const LayerNormGradArgs& a) {
  constexpr int64_t kBlock = 128;
  const int64_t blocks = (a.rows + kBlock - 1) / kBlock;
  std::vector<float> sums(static_cast<size_t>(blocks * 2 * a.channels));
  context.parallel_for(blocks, [&](int64_t block) {
    float* dgain = sums.data() + block * 2 * a.channels;
    for (int64_t row = block * kBlock; row < std::min(a.rows, (block + 1) * kBlock); ++row)
      layer_norm_grad_row(a, row, dgain, dgain + a.channels);
  });
  float *dgains = a.dgain.f32(), *dbiases = a.dbias.f32();
  for (int64_t c = 0; c < a.channels; ++c) {
    double dgain = 0.0, dbias = 0.0;
    for (int64_t block = 0; block < blocks; ++block) {
      dgain += sums[static_cast<size_t>(block * 2 * a.channels + c)];
      dbias += sums[static_cast<size_t>(block * 2 * a.channels + a.channels + c)];
    }
    dgains[c] = static_cast<float>(dgain);
    dbiases[c] = static_cast<float>(dbias);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_group_norm_grad);
HWY_EXPORT(run_layer_norm_grad);

void group_norm_grad(Context& context, const GroupNormGradArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_group_norm_grad)(context, args);
}
void layer_norm_grad(Context& context, const LayerNormGradArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_layer_norm_grad)(context, args);
}

const KernelRegistration kGroupNormGrad(group_norm_grad_slot, Device::kCpu, group_norm_grad);
const KernelRegistration kLayerNormGrad(layer_norm_grad_slot, Device::kCpu, layer_norm_grad);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
