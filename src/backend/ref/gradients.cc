// Reference kernels: gradients as calculus has them, accumulated in double, and what an optimizer does with them.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "core/autograd.h"
#include "ops/attention.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/norm.h"
#include "ops/optimizer.h"

namespace sumi::backend::ref {
namespace {

void accumulate(const float* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

void sum_rows(const float* x, float* out, int64_t batch, int64_t rows, int64_t channels) {
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0.0;
      for (int64_t row = 0; row < rows; ++row) sum += x[(n * rows + row) * channels + c];
      out[n * channels + c] = static_cast<float>(sum);
    }
  }
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double normal_cdf(double x) { return 0.5 * (1.0 + std::erf(x * M_SQRT1_2)); }

// act'(x)
double slope(double x, Act act) {
  const double s = sigmoid(act == Act::kQuickGelu ? 1.702 * x : x);
  switch (act) {
    case Act::kNone: return 1.0;
    case Act::kSilu: return s + x * s * (1.0 - s);
    case Act::kGelu: return normal_cdf(x) + x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI);
    case Act::kQuickGelu: return s + 1.702 * x * s * (1.0 - s);
    case Act::kRelu: return x > 0.0 ? 1.0 : 0.0;
    case Act::kLeakyRelu: return x > 0.0 ? 1.0 : 0.2;
  }
  return 1.0;
}

void activate_grad(const float* x, const float* dy, float* dx, int64_t count, Act act) {
  for (int64_t i = 0; i < count; ++i) dx[i] = static_cast<float>(dy[i] * slope(x[i], act));
}

void geglu_grad(const float* x, const float* dy, float* dx, int64_t rows, int64_t channels) {
  for (int64_t i = 0; i < rows * channels; ++i) {
    const int64_t at = i / channels * 2 * channels + i % channels;
    const double value = x[at], gate = x[at + channels];
    dx[at] = static_cast<float>(dy[i] * gate * normal_cdf(gate));
    dx[at + channels] = static_cast<float>(dy[i] * value * slope(gate, Act::kGelu));
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

void group_norm_grad(const GroupNormGradArgs& args) {
  const GroupNormArgs& a = args.forward;
  const int64_t width = a.channels / a.groups;
  std::vector<double> dgain(static_cast<size_t>(a.channels)), dbias(dgain);
  for (int64_t n = 0; n < a.batch; ++n) {
    for (int64_t g = 0; g < a.groups; ++g) {
      const auto channel = [&](int64_t i) { return g * width + i % width; };
      const auto at = [&](int64_t i) { return (n * a.pixels + i / width) * a.channels + channel(i); };
      const int64_t count = a.pixels * width;
      const auto [mean, inverse] = statistics(
          count, [&](int64_t i) { return double{a.x[at(i)]}; }, a.eps);
      const auto normal = [&, m = mean, v = inverse](int64_t i) { return (a.x[at(i)] - m) * v; };
      const auto before_act = [&](int64_t i) {
        return args.dy[at(i)] * slope(normal(i) * a.gain[channel(i)] + a.bias[channel(i)], a.act);
      };
      for (int64_t i = 0; i < count; ++i) {
        dgain[static_cast<size_t>(channel(i))] += before_act(i) * normal(i);
        dbias[static_cast<size_t>(channel(i))] += before_act(i);
      }
      norm_grad(
          count, inverse, normal, [&](int64_t i) { return before_act(i) * a.gain[channel(i)]; },
          [&](int64_t i, double value) { args.dx[at(i)] = static_cast<float>(value); });
    }
  }
  std::copy(dgain.begin(), dgain.end(), args.dgain);
  std::copy(dbias.begin(), dbias.end(), args.dbias);
}

void layer_norm_grad(const LayerNormGradArgs& a) {
  std::vector<double> dgain(static_cast<size_t>(a.channels)), dbias(dgain);
  for (int64_t row = 0; row < a.rows; ++row) {
    const float *x = a.x + row * a.channels, *dy = a.dy + row * a.channels;
    const auto [mean, inverse] = statistics(
        a.channels, [&](int64_t c) { return double{x[c]}; }, a.eps);
    const auto normal = [&, m = mean, v = inverse](int64_t c) { return (x[c] - m) * v; };
    for (int64_t c = 0; c < a.channels; ++c) {
      dgain[static_cast<size_t>(c)] += dy[c] * normal(c);
      dbias[static_cast<size_t>(c)] += dy[c];
    }
    norm_grad(
        a.channels, inverse, normal, [&](int64_t c) { return double{dy[c]} * a.gain[c]; },
        [&](int64_t c, double value) { a.dx[row * a.channels + c] = static_cast<float>(value); });
  }
  std::copy(dgain.begin(), dgain.end(), a.dgain);
  std::copy(dbias.begin(), dbias.end(), a.dbias);
}

void attention_grad(const AttentionGradArgs& args) {
  const AttentionArgs& a = args.forward;
  const int64_t width = a.heads * a.head_dim;
  parallel_for(a.batch * a.heads, [&](int64_t task) {
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
      for (int64_t j = 0; j < seen; ++j) top = std::max(top, dot(a.q + query(i), a.k + key(j)) * a.scale);
      for (int64_t j = 0; j < seen; ++j)
        sum += p[static_cast<size_t>(j)] = std::exp(dot(a.q + query(i), a.k + key(j)) * a.scale - top);
      double mean = 0.0;  // of the gradients that reach the weights
      for (int64_t j = 0; j < seen; ++j)
        mean += (p[static_cast<size_t>(j)] /= sum) * dot(args.dout + query(i), a.v + key(j));
      std::vector<double> dq(static_cast<size_t>(a.head_dim));
      for (int64_t j = 0; j < seen; ++j) {
        const double weight = p[static_cast<size_t>(j)];
        const double score = a.scale * weight * (dot(args.dout + query(i), a.v + key(j)) - mean);
        for (int64_t d = 0; d < a.head_dim; ++d) {
          dq[static_cast<size_t>(d)] += score * a.k[key(j) + d];
          dk[static_cast<size_t>(j * a.head_dim + d)] += score * a.q[query(i) + d];
          dv[static_cast<size_t>(j * a.head_dim + d)] += weight * args.dout[query(i) + d];
        }
      }
      std::copy(dq.begin(), dq.end(), args.dq + query(i));
    }
    for (int64_t j = 0; j < a.keys; ++j) {
      std::copy_n(dk.begin() + j * a.head_dim, a.head_dim, args.dk + key(j));
      std::copy_n(dv.begin() + j * a.head_dim, a.head_dim, args.dv + key(j));
    }
  });
}

void conv2d_grad_weight(const ConvGradWeightArgs& a) {
  parallel_for(a.out_c, [&](int64_t o) {
    for (int64_t i = 0; i < a.in_c; ++i) {
      for (int64_t tap = 0; tap < a.kernel_h * a.kernel_w; ++tap) {
        double sum = 0.0;
        for (int64_t pixel = 0; pixel < a.batch * a.out_h * a.out_w; ++pixel) {
          const int64_t y = pixel / a.out_w % a.out_h * a.stride + tap / a.kernel_w - a.pad;
          const int64_t x = pixel % a.out_w * a.stride + tap % a.kernel_w - a.pad;
          if (y < 0 || y >= a.in_h || x < 0 || x >= a.in_w) continue;
          const int64_t at = (pixel / a.out_w / a.out_h * a.in_h + y) * a.in_w + x;
          sum += double{a.dy[pixel * a.out_c + o]} * a.x[at * a.in_c + i];
        }
        a.dweight[(o * a.in_c + i) * a.kernel_h * a.kernel_w + tap] = static_cast<float>(sum);
      }
    }
  });
}

void adamw(const AdamWArgs& a) {
  for (int64_t i = 0; i < a.count; ++i) {
    const double grad = double{a.grad[i]} * a.grad_scale;
    const double first = double{a.beta1} * a.first[i] + (1.0 - a.beta1) * grad;
    const double second = double{a.beta2} * a.second[i] + (1.0 - a.beta2) * grad * grad;
    a.first[i] = static_cast<float>(first);
    a.second[i] = static_cast<float>(second);
    a.param[i] = static_cast<float>(double{a.param[i]} * a.decay -
                                    a.step_size * first / (std::sqrt(second) / a.correction + a.eps));
  }
}

double sum_squares(const float* x, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += double{x[i]} * x[i];
  return sum;
}

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
