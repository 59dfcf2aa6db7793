// Every op that has a gradient, on small inputs: checked on ref against differences, on other backends against ref.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "ops/attention.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gaussian.h"
#include "ops/layout.h"
#include "ops/loss.h"
#include "ops/max_pool.h"
#include "ops/norm.h"
#include "ops/unit_rows.h"

namespace sumi::test {

using Inputs = std::vector<Tensor>;

struct GradientCase {
  std::string name;
  std::vector<Shape> shapes;  // of the inputs
  std::function<Tensor(const Inputs&)> op;
};

// The scalar to differentiate: a fixed weighted sum of the result's elements.
inline Tensor pull(const Shape& shape, Device device) {
  Tensor out = Tensor::empty(shape, DType::kF32, device);
  const HostEdit<float> values(out);
  for (int64_t i = 0; i < out.numel(); ++i) values[i] = static_cast<float>(i * 7 % 11) / 5.0f - 0.9f;
  return out;
}

// Small x added to 1, -2, 3, -1, 2, -3, …: keeps functions with a kink away from it.
inline Tensor off_kinks(const Tensor& x) {
  Tensor steps = Tensor::empty(x.shape(), DType::kF32, x.device());
  {
    const HostEdit<float> values(steps);
    for (int64_t i = 0; i < steps.numel(); ++i) values[i] = static_cast<float>((i % 2 == 0 ? 1 : -1) * (1 + i % 3));
  }
  return affine(0.2f, x, 1.0f, steps);
}

// The gradients of Σ pull·op(inputs), one per input.
inline Inputs gradients(const GradientCase& c, const Inputs& values, Device device) {
  Inputs inputs;
  for (const Tensor& value : values) {
    inputs.push_back(value.to(device).detach());
    inputs.back().set_requires_grad(true);
  }
  Tape tape;
  const Tensor out = c.op(inputs);
  tape.backward(out, pull(out.shape(), device));
  Inputs result;
  for (const Tensor& input : inputs) result.push_back(input.grad());
  return result;
}

inline std::vector<GradientCase> gradient_cases() {
  std::vector<GradientCase> cases{
      {"affine", {{3, 5}, {3, 5}}, [](const Inputs& x) { return affine(0.7f, x[0], -1.3f, x[1], 0.2f); }},
      {"mul", {{4, 3}, {4, 3}}, [](const Inputs& x) { return mul(x[0], x[1]); }},
      {"mul_with_itself", {{4, 3}}, [](const Inputs& x) { return mul(x[0], x[0]) + x[0]; }},
      {"add_per_channel", {{2, 3, 2, 5}, {2, 5}}, [](const Inputs& x) { return add_per_channel(x[0], x[1]); }},
      {"silu", {{50}}, [](const Inputs& x) { return activate(x[0], Act::kSilu); }},
      {"gelu", {{50}}, [](const Inputs& x) { return activate(x[0], Act::kGelu); }},
      {"quick_gelu", {{50}}, [](const Inputs& x) { return activate(x[0], Act::kQuickGelu); }},
      {"relu", {{50}}, [](const Inputs& x) { return activate(off_kinks(x[0]), Act::kRelu); }},
      {"leaky_relu", {{50}}, [](const Inputs& x) { return activate(off_kinks(x[0]), Act::kLeakyRelu); }},
      {"tanh", {{50}}, [](const Inputs& x) { return activate(x[0], Act::kTanh); }},
      {"geglu", {{3, 14}}, [](const Inputs& x) { return geglu(x[0]); }},
      {"linear", {{5, 7}, {4, 7}, {4}}, [](const Inputs& x) { return linear(x[0], x[1], x[2]); }},
      {"linear_with_act_and_residual",
       {{5, 7}, {4, 7}, {4}, {5, 4}},
       [](const Inputs& x) { return linear(x[0], x[1], x[2], {.act = Act::kSilu, .residual = x[3]}); }},
      {"linear_geglu", {{5, 6}, {8, 6}, {8}}, [](const Inputs& x) { return linear_geglu(x[0], x[1], x[2]); }},
      {"linear_of_a_changed_weight",
       {{5, 7}, {4, 7}, {4}, {5, 4}, {2, 7}, {4, 2}},
       [](const Inputs& x) {
         return linear(x[0], x[1], x[2], {.act = Act::kSilu, .residual = x[3], .change = {x[4], x[5], 0.7f}});
       }},
      {"linear_geglu_of_a_changed_weight",
       {{5, 6}, {8, 6}, {8}, {2, 6}, {8, 2}},
       [](const Inputs& x) {
         return linear_geglu(x[0], x[1], x[2], {x[3], x[4], 0.7f});
       }},
      {"group_norm",
       {{2, 3, 4, 8}, {8}, {8}},
       [](const Inputs& x) { return group_norm(x[0], x[1], x[2], {.groups = 2}); }},
      {"group_norm_silu",
       {{2, 3, 4, 8}, {8}, {8}},
       [](const Inputs& x) { return group_norm(x[0], x[1], x[2], {.groups = 4, .act = Act::kSilu}); }},
      {"layer_norm", {{4, 9}, {9}, {9}}, [](const Inputs& x) { return layer_norm(x[0], x[1], x[2]); }},
      {"concat_channels", {{2, 3, 2}, {2, 3, 4}}, [](const Inputs& x) { return concat_channels(x[0], x[1]); }},
      {"slice_channels", {{4, 9}}, [](const Inputs& x) { return slice_channels(x[0], 2, 7); }},
      {"crop", {{2, 5, 4, 3}}, [](const Inputs& x) { return crop(x[0], 1, 4, 2, 4); }},
      {"concat_rows",
       {{2, 3}, {4, 3}},
       [](const Inputs& x) {
         return concat_rows({x[0], x[1], x[0]});
       }},
      {"rows", {{5, 4}}, [](const Inputs& x) { return mul(x[0].rows(1, 3), x[0].rows(2, 4)); }},
      {"reshape",
       {{6, 4}},
       [](const Inputs& x) {
         return mul(x[0].reshape({3, 8}), x[0].reshape({3, 8}));
       }},
      {"upsample", {{2, 2, 3, 4}}, [](const Inputs& x) { return upsample_nearest_2x(x[0]); }},
      {"upsample_to_odd", {{2, 2, 3, 4}}, [](const Inputs& x) { return upsample_nearest_2x(x[0], 3, 5); }},
      {"mean_pool", {{2, 4, 6, 3}}, [](const Inputs& x) { return mean_pool_2x2(x[0]); }},
      {"embedding",
       {{6, 4}},
       [](const Inputs& x) {
         return embedding(Tensor::from(std::vector<int64_t>{3, 0, 3, 5}, {2, 2}), x[0]);
       }},
      {"mean_squared_error",
       {{3, 2, 4}},
       [](const Inputs& x) {
         return mean_squared_error(x[0], Tensor::full({3, 2, 4}, 0.3f, x[0].device()), {1.0, 0.5, 2.0});
       }},
      {"mean_absolute_error",
       {{3, 7}, {3, 7}},
       [](const Inputs& x) { return mean_absolute_error(off_kinks(x[0]), x[1] * 0.2f); }},
      {"mean", {{3, 7}}, [](const Inputs& x) { return mean(mul(x[0], x[0])); }},
      {"sample_gaussian",
       {{2, 3, 1, 6}},
       [](const Inputs& x) {
         return sample_gaussian(x[0], pull({2, 3, 1, 3}, x[0].device()));
       }},
      {"kl_divergence", {{2, 3, 1, 6}}, [](const Inputs& x) { return kl_divergence(x[0]); }},
      {"max_pool", {{2, 4, 5, 3}}, [](const Inputs& x) { return max_pool_2x2(off_kinks(x[0])); }},
      {"unit_rows", {{5, 4}}, [](const Inputs& x) { return unit_rows(x[0]); }},
      {"checkpoint",
       {{3, 5}, {4, 5}},
       [](const Inputs& x) {
         const auto twice = [](const Inputs& y) { return silu(linear(y[0], y[1], {})); };
         return mul(checkpoint(twice, x), checkpoint(twice, x));
       }},
  };
  struct Conv {
    const char* name;
    int64_t n, h, w, in, out, kernel, stride, begin, end;
  };
  for (const Conv& c : {Conv{"conv3", 2, 5, 4, 3, 4, 3, 1, 1, 1},
                        {"conv1", 2, 3, 4, 5, 3, 1, 1, 0, 0},
                        {"conv_stride", 1, 6, 5, 3, 4, 3, 2, 1, 1},
                        {"conv_stride_padded_after", 1, 6, 4, 3, 4, 3, 2, 0, 1},
                        {"conv_unpadded", 1, 5, 6, 2, 3, 3, 1, 0, 0},
                        {"conv4_stride", 1, 6, 5, 3, 4, 4, 2, 1, 1}}) {
    const int64_t out_h = (c.h + c.begin + c.end - c.kernel) / c.stride + 1,
                  out_w = (c.w + c.begin + c.end - c.kernel) / c.stride + 1;
    cases.push_back({c.name,
                     {{c.n, c.h, c.w, c.in}, {c.out, c.in, c.kernel, c.kernel}, {c.out}, {c.n, out_h, out_w, c.out}},
                     [c](const Inputs& x) {
                       return conv2d(x[0], x[1], x[2],
                                     {.stride = c.stride, .pad_begin = c.begin, .pad_end = c.end, .residual = x[3]});
                     }});
  }
  struct Attention {
    const char* name;
    int64_t n, queries, keys, heads, dim;
    bool causal;
  };
  for (const Attention& c : {Attention{"attention", 2, 4, 5, 2, 3, false}, {"attention_causal", 1, 5, 5, 2, 4, true}}) {
    cases.push_back(
        {c.name,
         {{c.n, c.queries, c.heads * c.dim}, {c.n, c.keys, c.heads * c.dim}, {c.n, c.keys, c.heads * c.dim}},
         [c](const Inputs& x) { return attention(x[0], x[1], x[2], {.heads = c.heads, .causal = c.causal}); }});
  }
  return cases;
}

}  // namespace sumi::test
