// Every vector kernel of a gradient against the reference kernel, on every instruction set that this machine has.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/conv_grad.h"
#include "tests/support/cpu_targets.h"
#include "tests/support/gradient_cases.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

using test::GradientCase;
using test::Inputs;
using CpuGradients = test::OnEveryTarget;

INSTANTIATE_TEST_SUITE_P(Targets, CpuGradients, testing::ValuesIn(test::machine_targets()), test::target_name);

void expect_equal_reference(const GradientCase& c, double tolerance = 1e-5) {
  Inputs inputs;
  for (const Shape& shape : c.shapes) inputs.push_back(test::random(shape));
  const Inputs got = test::gradients(c, inputs, Device::kCpu), want = test::gradients(c, inputs, Device::kRef);
  for (size_t k = 0; k < got.size(); ++k) {
    ASSERT_EQ(got[k].shape(), want[k].shape());
    EXPECT_LE(test::relative_l2(got[k], want[k]), tolerance) << c.name << ", input " << k;
  }
}

TEST_P(CpuGradients, SmallOnesEqualReference) {
  for (const GradientCase& c : test::gradient_cases()) expect_equal_reference(c);
}

TEST_P(CpuGradients, ProductsEqualReference) {
  for (const auto& [m, k, n] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {13, 70, 33}, {900, 33, 50}, {77, 400, 390}}) {
    expect_equal_reference({"linear", {{m, k}, {n, k}, {n}}, [](const Inputs& x) { return linear(x[0], x[1], x[2]); }});
  }
  struct Case {
    int64_t n, h, w, in, out, kernel, stride, pad_begin, pad_end;
  };
  for (const Case& c : {Case{1, 1, 1, 1, 1, 3, 1, 1, 1},
                        {2, 12, 13, 40, 36, 3, 1, 1, 1},
                        {1, 20, 9, 70, 5, 3, 1, 1, 1},
                        {2, 9, 11, 4, 33, 3, 1, 1, 1},
                        {2, 10, 8, 34, 40, 3, 2, 1, 1},
                        {1, 8, 12, 33, 31, 3, 2, 0, 1},
                        {2, 5, 7, 50, 70, 1, 1, 0, 0},
                        {1, 9, 9, 3, 6, 4, 2, 1, 1},
                        {9, 4, 4, 140, 100, 3, 1, 1, 1},   // several blocks of outputs and inputs
                        {1, 84, 81, 5, 14, 3, 1, 1, 1},    // several groups of tiles
                        {3, 7, 6, 33, 20, 3, 1, 0, 2}}) {  // zeros on one side
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::kDirect, ConvAlgorithm::kWinograd}) {
      const ConvAlgorithmScope scope(algorithm);
      expect_equal_reference({fmt::format("conv2d {}x{}x{}x{} → {}", c.n, c.h, c.w, c.in, c.out),
                              {{c.n, c.h, c.w, c.in}, {c.out, c.in, c.kernel, c.kernel}, {c.out}},
                              [&c](const Inputs& x) {
                                return conv2d(x[0], x[1], x[2],
                                              {.stride = c.stride, .pad_begin = c.pad_begin, .pad_end = c.pad_end});
                              }},
                             2e-5);
    }
  }
}

TEST_P(CpuGradients, NormsEqualReference) {
  for (int64_t channels : {32, 96, 320}) {
    for (Act act : {Act::kNone, Act::kSilu}) {
      expect_equal_reference({"group_norm", {{2, 19, 17, channels}, {channels}, {channels}}, [act](const Inputs& x) {
                                return group_norm(x[0], x[1], x[2], {.groups = 32, .act = act});
                              }});
    }
  }
  for (int64_t channels : {1, 7, 64, 321}) {
    expect_equal_reference({"layer_norm",
                            {{300, channels}, {channels}, {channels}},
                            [](const Inputs& x) { return layer_norm(x[0], x[1], x[2]); }},
                           channels == 1 ? 1e30 : 1e-5);  // with one channel only rounding is left
  }
}

TEST_P(CpuGradients, AttentionEqualsReference) {
  struct Case {
    int64_t n, queries, keys, heads, dim;
    bool causal;
  };
  for (const Case& c : {Case{1, 1, 1, 1, 1, false},
                        {2, 77, 77, 4, 16, true},
                        {1, 100, 90, 2, 40, false},
                        {2, 50, 77, 3, 4, false},
                        {1, 64, 130, 1, 160, false},
                        {1, 33, 40, 2, 65, false}}) {
    expect_equal_reference(
        {"attention",
         {{c.n, c.queries, c.heads * c.dim}, {c.n, c.keys, c.heads * c.dim}, {c.n, c.keys, c.heads * c.dim}},
         [&c](const Inputs& x) { return attention(x[0], x[1], x[2], {.heads = c.heads, .causal = c.causal}); }});
  }
}

TEST_P(CpuGradients, NanInAttentionReachesTheGradients) {
  const GradientCase c{"attention", {{1, 50, 80}, {1, 77, 80}, {1, 77, 80}}, [](const Inputs& x) {
                         return attention(x[0], x[1], x[2], {.heads = 2});
                       }};
  for (size_t which = 0; which < 3; ++which) {
    for (const bool last : {false, true}) {
      Inputs inputs;
      for (const Shape& shape : c.shapes) inputs.push_back(test::random(shape));
      inputs[which].host_edit<float>()[last ? inputs[which].numel() - 1 : 0] = NAN;
      const Inputs got = test::gradients(c, inputs, Device::kCpu), want = test::gradients(c, inputs, Device::kRef);
      int64_t count = 0;
      for (size_t k = 0; k < got.size(); ++k) {
        const HostView<float> values(got[k]), wanted(want[k]);
        for (int64_t i = 0; i < wanted.size(); ++i) {
          const bool is_nan = std::isnan(wanted[i]);
          ASSERT_EQ(std::isnan(values[i]), is_nan) << which << ", input " << k << ", at " << i;
          count += is_nan ? 1 : 0;
        }
      }
      EXPECT_GT(count, 0) << which;
    }
  }
}

TEST_P(CpuGradients, BytesDoNotDependOnThreads) {
  const GradientCase c{"block", {{2, 20, 12, 64}, {64}, {64}, {96, 64, 3, 3}, {96}, {64, 96}}, [](const Inputs& x) {
                         const Tensor h = conv2d(group_norm(x[0], x[1], x[2], {.groups = 32, .act = Act::kSilu}), x[3],
                                                 x[4], {.pad_begin = 1});
                         const Tensor tokens = linear(h, x[5], {}).reshape({2, 240, 64});
                         return attention(tokens, tokens, tokens, {.heads = 4});
                       }};
  Inputs inputs;
  for (const Shape& shape : c.shapes) inputs.push_back(test::random(shape));
  test::expect_same_bytes_with_any_threads([&] { return test::gradients(c, inputs, Device::kCpu); });
}

// The fast path is taken, and does not give the bytes of the plain one.
TEST(CpuGradientsChoice, WinogradIsChosenWhereItPays) {
  const Tensor x = test::random({2, 16, 16, 64}), dy = test::random({2, 16, 16, 48});
  const auto with = [&](ConvAlgorithm algorithm) {
    const ConvAlgorithmScope scope(algorithm);
    return conv2d_grad_weight(x, dy, {48, 64, 3, 3}, {.pad_begin = 1});
  };
  const Tensor chosen = with(ConvAlgorithm::kAuto), direct = with(ConvAlgorithm::kDirect),
               fast = with(ConvAlgorithm::kWinograd);
  EXPECT_TRUE(test::same_bytes(chosen, fast));
  EXPECT_FALSE(test::same_bytes(chosen, direct));
  EXPECT_LE(test::relative_l2(fast, direct), 2e-5);
}

}  // namespace
}  // namespace sumi
