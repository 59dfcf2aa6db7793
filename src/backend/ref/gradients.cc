// Reference kernels: gradients by their formulas, accumulated in double, and optimizer steps.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/ref/act.h"
#include "core/autograd.h"
#include "ops/attention.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/norm.h"
#include "ops/optimizer.h"

namespace sumi::backend::ref {
namespace {

void accumulate(Context&, const AccumulateArgs& a) {
  for (int64_t i = 0; i < a.from.count; ++i) a.to.f32()[i] += a.from.f32()[i];
}

void sum_rows(Context&, const SumRowsArgs& a) {
  for (int64_t n = 0; n < a.batch; ++n) {
    for (int64_t c = 0; c < a.channels; ++c) {
      double sum = 0.0;
      for (int64_t row = 0; row < a.rows; ++row) sum += a.x.f32()[(n * a.rows + row) * a.channels + c];
      a.out.f32()[n * a.channels + c] = static_cast<float>(sum);
    }
  }
}

void activate_grad(Context&, const ActivateGradArgs& a) {
  const float *x = a.x.f32(), *dy = a.dy.f32();
  for (int64_t i = 0; i < a.x.count; ++i) a.dx.f32()[i] = static_cast<float>(dy[i] * slope(x[i], a.act));
}

void geglu_grad(Context&, const GegluGradArgs& a) {
  const float *x = a.x.f32(), *dy = a.dy.f32();
  float* dx = a.dx.f32();
  for (int64_t i = 0; i < a.rows * a.channels; ++i) {
    const int64_t at = i / a.channels * 2 * a.channels + i % a.channels;
    const double value = x[at], gate = x[at + a.channels];
    dx[at] = static_cast<float>(dy[i] * gate * normal_cdf(gate));
    dx[at + a.channels] = static_cast<float>(dy[i] * value * slope(gate, Act::kGelu));
  }
}

// For one set of `count` values normalised together: `normal(i)` and `pull(i)` are the i-th normalised value and the
// gradient that reaches it; writes what reaches x.                                    (Ioffe and Szegedy 2015, sec. 3)
template <class Normal, class Pull, class Write>
void norm_grad(int64_t count, double inverse, const Normal& normal, const Pull& pull, const Write& write) {
  double sum = 0.0, along = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    sum += pull(i);
    along += pull(i) * normal(i);
  }
  const double n = static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) write(i, inverse * (pull(i) - sum / n - normal(i) * along / n));
}

// Mean and 1/√(variance + eps) of `count` values.
template <class Value> std::pair<double, double> statistics(int64_t count, const Value& value, double eps) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += value(i);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (value(i) - mean) * (value(i) - mean);
  return {mean, 1.0 / std::sqrt(squares / static_cast<double>(count) + eps)};
}

void group_norm_grad(Context&, const GroupNormGradArgs& args) {
  const GroupNormArgs& a = args.forward;
  const float *x = a.x.f32(), *gain = a.gain.f32(), *bias = a.bias.f32(), *dy = args.dy.f32();
  const int64_t width = a.channels / a.groups;
  std::vector<double> dgain(static_cast<size_t>(a.channels)), dbias(dgain);
  for (int64_t n = 0; n < a.batch; ++n) {
    for (int64_t g = 0; g < a.groups; ++g) {
      const auto channel = [&](int64_t i) { return g * width + i % width; };
      const auto at = [&](int64_t i) { return (n * a.pixels + i / width) * a.channels + channel(i); };
      const int64_t count = a.pixels * width;
      const auto [mean, inverse] = statistics(
          count, [&](int64_t i) { return double{x[at(i)]}; }, a.eps);
      const auto normal = [&, m = mean, v = inverse](int64_t i) { return (x[at(i)] - m) * v; };
      const auto before_act = [&](int64_t i) {
        return dy[at(i)] * slope(normal(i) * gain[channel(i)] + bias[channel(i)], a.act);
      };
      for (int64_t i = 0; i < count; ++i) {
        dgain[static_cast<size_t>(channel(i))] += before_act(i) * normal(i);
        dbias[static_cast<size_t>(channel(i))] += before_act(i);
      }
      norm_grad(
          count, inverse, normal, [&](int64_t i) { return before_act(i) * gain[channel(i)]; },
          [&](int64_t i, double value) { args.dx.f32()[at(i)] = static_cast<float>(value); });
    }
  }
  std::copy(dgain.begin(), dgain.end(), args.dgain.f32());
  std::copy(dbias.begin(), dbias.end(), args.dbias.f32());
}

void layer_norm_grad(Context&, const LayerNormGradArgs& a) {
  std::vector<double> dgain(static_cast<size_t>(a.channels)), dbias(dgain);
  for (int64_t row = 0; row < a.rows; ++row) {
    const float *x = a.x.f32() + row * a.channels, *dy = a.dy.f32() + row * a.channels;
    const auto [mean, inverse] = statistics(
        a.channels, [&](int64_t c) { return double{x[c]}; }, a.eps);
    const auto normal = [&, m = mean, v = inverse](int64_t c) { return (x[c] - m) * v; };
    for (int64_t c = 0; c < a.channels; ++c) {
      dgain[static_cast<size_t>(c)] += dy[c] * normal(c);
      dbias[static_cast<size_t>(c)] += dy[c];
    }
    norm_grad(
        a.channels, inverse, normal, [&](int64_t c) { return double{dy[c]} * a.gain.f32()[c]; },
        [&](int64_t c, double value) { a.dx.f32()[row * a.channels + c] = static_cast<float>(value); });
  }
  std::copy(dgain.begin(), dgain.end(), a.dgain.f32());
  std::copy(dbias.begin(), dbias.end(), a.dbias.f32());
}

void attention_grad(Context& context, const AttentionGradArgs& args) {
  const AttentionArgs& a = args.forward;
  const float *q = a.q.f32(), *k = a.k.f32(), *v = a.v.f32(), *dout = args.dout.f32();
  const int64_t width = a.heads * a.head_dim;
  context.parallel_for(a.batch * a.heads, [&](int64_t task) {
    const int64_t n = task / a.heads, offset = task % a.heads * a.head_dim;
    const auto query = [&](int64_t i) { return (n * a.queries + i) * width + offset; };
    const auto key = [&](int64_t j) { return (n * a.keys + j) * width + offset; };
    const auto dot = [&](const float* x, const float* y) {
      double sum = 0.0;
      for (int64_t d = 0; d < a.head_dim; ++d) sum += double{x[d]} * y[d];
      return sum;
    };
    std::vector<double> dk(static_cast<size_t>(a.keys * a.head_dim)), dv(dk), p(static_cast<size_t>(a.keys));
    for (int64_t i = 0; i < a.queries; ++i) {
      const int64_t seen = a.causal ? std::min(a.keys, i + 1) : a.keys;
      double top = -INFINITY, sum = 0.0;
      for (int64_t j = 0; j < seen; ++j) top = std::max(top, dot(q + query(i), k + key(j)) * a.scale);
      for (int64_t j = 0; j < seen; ++j)
        sum += p[static_cast<size_t>(j)] = std::exp(dot(q + query(i), k + key(j)) * a.scale - top);
      double mean = 0.0;  // of the gradients that reach the weights
      for (int64_t j = 0; j < seen; ++j) mean += (p[static_cast<size_t>(j)] /= sum) * dot(dout + query(i), v + key(j));
      std::vector<double> dq(static_cast<size_t>(a.head_dim));
      for (int64_t j = 0; j < seen; ++j) {
        const double weight = p[static_cast<size_t>(j)];
        const double score = a.scale * weight * (dot(dout + query(i), v + key(j)) - mean);
        for (int64_t d = 0; d < a.head_dim; ++d) {
          dq[static_cast<size_t>(d)] += score * k[key(j) + d];
          dk[static_cast<size_t>(j * a.head_dim + d)] += score * q[query(i) + d];
          dv[static_cast<size_t>(j * a.head_dim + d)] += weight * dout[query(i) + d];
        }
      }
      std::copy(dq.begin(), dq.end(), args.dq.f32() + query(i));
    }
    for (int64_t j = 0; j < a.keys; ++j) {
      std::copy_n(dk.begin() + j * a.head_dim, a.head_dim, args.dk.f32() + key(j));
      std::copy_n(dv.begin() + j * a.head_dim, a.head_dim, args.dv.f32() + key(j));
    }
  });
}

void conv2d_grad_weight(Context& context, const ConvGradWeightArgs& a) {
  context.parallel_for(a.out_c, [&](int64_t o) {
    for (int64_t i = 0; i < a.in_c; ++i) {
      for (int64_t tap = 0; tap < a.kernel_h * a.kernel_w; ++tap) {
        double sum = 0.0;
        for (int64_t pixel = 0; pixel < a.batch * a.out_h * a.out_w; ++pixel) {
          const int64_t y = pixel / a.out_w % a.out_h * a.stride + tap / a.kernel_w - a.pad;
          const int64_t x = pixel % a.out_w * a.stride + tap % a.kernel_w - a.pad;
          if (y < 0 || y >= a.in_h || x < 0 || x >= a.in_w) continue;
          const int64_t at = (pixel / a.out_w / a.out_h * a.in_h + y) * a.in_w + x;
          sum += double{a.dy.f32()[pixel * a.out_c + o]} * a.x.f32()[at * a.in_c + i];
        }
        a.dweight.f32()[(o * a.in_c + i) * a.kernel_h * a.kernel_w + tap] = static_cast<float>(sum);
      }
    }
  });
}

// weight [outs, ins, taps] → [ins, outs, taps], for inputs `begin` to `end`. `kTaps` is the number of taps where the
// compiler should know it.
template <int64_t kTaps> void turn_inputs(const TurnWeightArgs& a, int64_t begin, int64_t end) {
  const int64_t taps = kTaps > 0 ? kTaps : a.taps;
  const float* from = a.weight.f32();
  float* to = a.out.f32();
  for (int64_t o = 0; o < a.outs; ++o) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t t = 0; t < taps; ++t) to[(i * a.outs + o) * taps + t] = from[(o * a.ins + i) * taps + taps - 1 - t];
    }
  }
}

void turn_weight(Context& context, const TurnWeightArgs& a) {
  const auto turn = a.taps == 9 ? turn_inputs<9> : a.taps == 1 ? turn_inputs<1> : turn_inputs<0>;
  constexpr int64_t kBlock = 8;  // inputs at a time: their rows of the result stay in L1
  context.parallel_for((a.ins + kBlock - 1) / kBlock,
                       [&](int64_t task) { turn(a, task * kBlock, std::min(a.ins, (task + 1) * kBlock)); });
}

void adamw(Context&, const AdamWArgs& a) {
  float *param = a.param.f32(), *firsts = a.first.f32(), *seconds = a.second.f32();
  for (int64_t i = 0; i < a.param.count; ++i) {
    const double grad = double{a.grad.f32()[i]} * a.step.grad_scale;
    const double first = double{a.step.beta1} * firsts[i] + (1.0 - a.step.beta1) * grad;
    const double second = double{a.step.beta2} * seconds[i] + (1.0 - a.step.beta2) * grad * grad;
    firsts[i] = static_cast<float>(first);
    seconds[i] = static_cast<float>(second);
    param[i] = static_cast<float>(double{param[i]} * a.step.decay -
                                  a.step.step_size * first / (std::sqrt(second) / a.step.correction + a.step.eps));
  }
}

void sum_squares(Context&, const SumSquaresArgs& a) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.x.count; ++i) sum += double{a.x.f32()[i]} * a.x.f32()[i];
  *a.out.data<double>() = sum;
}

const KernelRegistration kTurnWeight(turn_weight_slot, Device::kRef, turn_weight);
const KernelRegistration kAdamW(adamw_slot, Device::kRef, adamw);
const KernelRegistration kSumSquares(sum_squares_slot, Device::kRef, sum_squares);
const KernelRegistration kAccumulate(accumulate_slot, Device::kRef, accumulate);
const KernelRegistration kSumRows(sum_rows_slot, Device::kRef, sum_rows);
const KernelRegistration kActivateGrad(activate_grad_slot, Device::kRef, activate_grad);
const KernelRegistration kGegluGrad(geglu_grad_slot, Device::kRef, geglu_grad);
const KernelRegistration kGroupNormGrad(group_norm_grad_slot, Device::kRef, group_norm_grad);
const KernelRegistration kLayerNormGrad(layer_norm_grad_slot, Device::kRef, layer_norm_grad);
const KernelRegistration kAttentionGrad(attention_grad_slot, Device::kRef, attention_grad);
const KernelRegistration kConvGradWeight(conv2d_grad_weight_slot, Device::kRef, conv2d_grad_weight);

}  // namespace
}  // namespace sumi::backend::ref
