// Gradients of elementwise work and of what is added to every row, and the optimizer; all run at memory speed.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise_grad.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <vector>

#include "backend/cpu/math-inl.h"
#include "core/autograd.h"
#include "hwy/highway.h"
#include "ops/elementwise.h"
#include "ops/optimizer.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

void run_accumulate(const Context& context, const AccumulateArgs& args) {
  const float* from = args.from.f32();
  float* to = args.to.f32();
  for_chunks(context, args.to.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::Add(hn::LoadU(d, to + begin + i), hn::LoadU(d, from + begin + i)), d, to + begin + i);
    });
  });
}

void run_activate_grad(const Context& context, const ActivateGradArgs& args) {
  const float *x = args.x.f32(), *dy = args.dy.f32();
  float* dx = args.dx.f32();
  const Act act = args.act;
  for_chunks(context, args.dx.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      const auto slope = act_slope(d, hn::LoadU(d, x + begin + i), act);
      hn::StoreU(hn::Mul(hn::LoadU(d, dy + begin + i), slope), d, dx + begin + i);
    });
  });
}

void run_geglu_grad(const Context& context, const GegluGradArgs& args) {
  constexpr int64_t kRowsATask = 8;
  const float *x = args.x.f32(), *dy = args.dy.f32();
  float* dx = args.dx.f32();
  const int64_t rows = args.rows, channels = args.channels;
  context.parallel_for((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task) HWY_ATTR {
    for (int64_t row = task * kRowsATask; row < std::min(rows, (task + 1) * kRowsATask); ++row) {
      const float* value = x + row * 2 * channels;
      float* to = dx + row * 2 * channels;
      for_lanes(channels, [&](auto d, int64_t c) HWY_ATTR {
        const auto pull = hn::LoadU(d, dy + row * channels + c), gate = hn::LoadU(d, value + channels + c);
        hn::StoreU(hn::Mul(pull, apply_act(d, gate, Act::kGelu)), d, to + c);
        hn::StoreU(hn::Mul(hn::Mul(pull, hn::LoadU(d, value + c)), act_slope(d, gate, Act::kGelu)), d,
                   to + channels + c);
      });
    }
  });
}

// Rows are summed in float within a block, and the blocks in double, in order.
void run_sum_rows(const Context& context, const SumRowsArgs& args) {
  constexpr int64_t kBlock = 256;
  const float* x = args.x.f32();
  float* out = args.out.f32();
  const int64_t batch = args.batch, rows = args.rows, channels = args.channels;
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  std::vector<float> sums(static_cast<size_t>(batch * blocks * channels));
  context.parallel_for(batch * blocks, [&](int64_t task) HWY_ATTR {
    const int64_t begin = task % blocks * kBlock, end = std::min(rows, begin + kBlock);
    float* sum = sums.data() + task * channels;
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + (task / blocks * rows + row) * channels;
      for_lanes(channels, [&](auto d, int64_t c) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, sum + c), hn::LoadU(d, from + c)), d, sum + c);
      });
    }
  });
  for (int64_t i = 0; i < batch * channels; ++i) {
    double total = 0.0;
    for (int64_t block = 0; block < blocks; ++block)
      total += sums[static_cast<size_t>((i / channels * blocks + block) * channels + i % channels)];
    out[i] = static_cast<float>(total);
  }
}

void run_adamw(const Context& context, const AdamWArgs& a) {
  float *param = a.param.f32(), *firsts = a.first.f32(), *seconds = a.second.f32();
  const float* grads = a.grad.f32();
  for_chunks(context, a.param.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t lane) HWY_ATTR {
      const int64_t i = begin + lane;
      const auto grad = hn::Mul(hn::LoadU(d, grads + i), hn::Set(d, a.step.grad_scale));
      auto first = hn::LoadU(d, firsts + i), second = hn::LoadU(d, seconds + i);
      first = hn::MulAdd(hn::Set(d, 1.0f - a.step.beta1), hn::Sub(grad, first), first);
      second = hn::MulAdd(hn::Set(d, 1.0f - a.step.beta2), hn::MulSub(grad, grad, second), second);
      hn::StoreU(first, d, firsts + i);
      hn::StoreU(second, d, seconds + i);
      const auto size = hn::MulAdd(hn::Sqrt(second), hn::Set(d, 1.0f / a.step.correction), hn::Set(d, a.step.eps));
      const auto kept = hn::Mul(hn::LoadU(d, param + i), hn::Set(d, a.step.decay));
      hn::StoreU(hn::NegMulAdd(hn::Set(d, a.step.step_size), hn::Div(first, size), kept), d, param + i);
    });
  });
}

void run_sum_squares(const Context& context, const SumSquaresArgs& args) {
  const float* x = args.x.f32();
  const int64_t count = args.x.count;
  std::vector<double> sums(static_cast<size_t>((count + kChunk - 1) / kChunk));
  for_chunks(context, count, [&](int64_t begin, int64_t end) HWY_ATTR {
    const hn::CappedTag<double, 8> d;
    const hn::Rebind<float, decltype(d)> df;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    auto squares = hn::Zero(d);
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto value = hn::PromoteTo(d, hn::LoadU(df, x + i));
      squares = hn::MulAdd(value, value, squares);
    }
    double sum = hn::GetLane(hn::SumOfLanes(d, squares));
    for (; i < end; ++i) sum += double{x[i]} * x[i];
    sums[static_cast<size_t>(begin / kChunk)] = sum;
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  args.out.data<double>()[0] = total;
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {
namespace {

HWY_EXPORT(run_accumulate);
HWY_EXPORT(run_activate_grad);
HWY_EXPORT(run_geglu_grad);
HWY_EXPORT(run_sum_rows);
HWY_EXPORT(run_adamw);
HWY_EXPORT(run_sum_squares);

void accumulate(Context& context, const AccumulateArgs& args) { HWY_DYNAMIC_DISPATCH(run_accumulate)(context, args); }
void activate_grad(Context& context, const ActivateGradArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_activate_grad)(context, args);
}
void geglu_grad(Context& context, const GegluGradArgs& args) { HWY_DYNAMIC_DISPATCH(run_geglu_grad)(context, args); }
void sum_rows(Context& context, const SumRowsArgs& args) { HWY_DYNAMIC_DISPATCH(run_sum_rows)(context, args); }

void adamw(Context& context, const AdamWArgs& args) { HWY_DYNAMIC_DISPATCH(run_adamw)(context, args); }
void sum_squares(Context& context, const SumSquaresArgs& args) { HWY_DYNAMIC_DISPATCH(run_sum_squares)(context, args); }

const KernelRegistration kAdamW(adamw_slot, Device::kCpu, adamw);
const KernelRegistration kSumSquares(sum_squares_slot, Device::kCpu, sum_squares);
const KernelRegistration kAccumulate(accumulate_slot, Device::kCpu, accumulate);
const KernelRegistration kActivateGrad(activate_grad_slot, Device::kCpu, activate_grad);
const KernelRegistration kGegluGrad(geglu_grad_slot, Device::kCpu, geglu_grad);
const KernelRegistration kSumRows(sum_rows_slot, Device::kCpu, sum_rows);

}  // namespace
}  // namespace sumi::backend::cpu
#endif
