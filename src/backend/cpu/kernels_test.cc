// Every vector kernel against the reference kernel, at sizes around the lanes and blocks, on every instruction set that
// this machine has.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <tuple>
#include <vector>

#include "ops/attention.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/norm.h"
#include "tests/support/cpu_targets.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

Tensor on_ref(const Tensor& x) { return x ? x.to(Device::kRef) : x; }

// Relative L2 distance.
double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  return test::relative_l2(a, b);
}

// Rounding of float: the error of a sum of K products grows like sqrt(K)·2^-24; 4096 terms stay below 4e-6.
constexpr double kSumTolerance = 4e-6;
constexpr double kPointTolerance = 1e-6;

// NaN in the same places, at least one.
void expect_same_nans(const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.shape(), want.shape());
  const HostView<float> values(got), wanted(want);
  int64_t count = 0;
  for (int64_t i = 0; i < wanted.size(); ++i) {
    const bool is_nan = std::isnan(wanted[i]);
    ASSERT_EQ(std::isnan(values[i]), is_nan) << i;
    count += is_nan ? 1 : 0;
  }
  EXPECT_GT(count, 0);
}

using CpuKernels = test::OnEveryTarget;
using test::random;

INSTANTIATE_TEST_SUITE_P(Targets, CpuKernels, testing::ValuesIn(test::machine_targets()), test::target_name);

TEST_P(CpuKernels, ElementwiseEqualsReference) {
  for (int64_t count : {0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 100, 16384, 16385, 40000}) {
    const Tensor x = random({count}), y = random({count});
    EXPECT_LE(distance(affine(0.3f, x, -2.0f, y, 0.5f), affine(0.3f, on_ref(x), -2.0f, on_ref(y), 0.5f)),
              kPointTolerance);
    EXPECT_LE(distance(affine(0.3f, x, 0.0f, {}, 0.5f), affine(0.3f, on_ref(x), 0.0f, {}, 0.5f)), kPointTolerance);
    EXPECT_LE(distance(mul(x, y), mul(on_ref(x), on_ref(y))), kPointTolerance);
  }
  for (int64_t channels : {1, 5, 16, 33}) {
    const Tensor x = random({2, 9, 11, channels}), e = random({2, channels});
    EXPECT_LE(distance(add_per_channel(x, e), add_per_channel(on_ref(x), on_ref(e))), kPointTolerance);
  }
}

TEST_P(CpuKernels, ActivationsEqualReferenceOverTheWholeRange) {
  std::vector<float> values{0.0f, -0.0f, 1e-30f, -1e-30f, 87.0f, -87.0f, 88.5f, -88.5f, 200.0f, -200.0f};
  for (int i = -5400; i < 5400; ++i) values.push_back(static_cast<float>(i) * 0.0037f);
  const Tensor x = Tensor::from(values, {static_cast<int64_t>(values.size())});
  for (Act act : {Act::kSilu, Act::kGelu, Act::kQuickGelu, Act::kRelu, Act::kLeakyRelu, Act::kTanh}) {
    const HostView<float> fast(activate(x, act)), plain(activate(on_ref(x), act));
    for (int64_t i = 0; i < x.numel(); ++i) {
      const float want = plain[i];
      // The formula for erf is off by 1.5e-7, so Φ by half of that, times x.
      const float formula = act == Act::kGelu ? 1e-7f * std::fabs(values[static_cast<size_t>(i)]) : 0.0f;
      ASSERT_NEAR(fast[i], want, 1e-7f + formula + 4e-7f * std::fabs(want)) << values[static_cast<size_t>(i)];
    }
  }
  const Tensor pairs = random({5, 2 * 37}, 3.0f);
  EXPECT_LE(distance(geglu(pairs), geglu(on_ref(pairs))), kPointTolerance);
}

TEST_P(CpuKernels, ActivationsOfNanAreNan) {
  Tensor x = random({2 * 37});
  for (const int64_t i : {1, 20, 40, 73}) x.host_edit<float>()[i] = NAN;  // in whole vectors and in single lanes
  for (Act act : {Act::kNone, Act::kSilu, Act::kGelu, Act::kQuickGelu, Act::kRelu, Act::kLeakyRelu, Act::kTanh})
    expect_same_nans(activate(x, act), activate(on_ref(x), act));
  expect_same_nans(geglu(x.reshape({1, 2 * 37})), geglu(on_ref(x).reshape({1, 2 * 37})));
}

TEST_P(CpuKernels, QuantizedWeightsEqualReference) {
  for (DType dtype : {DType::kQ8, DType::kQ4}) {
    const Tensor x = random({77, 416}), w = cast(random({70, 416}), dtype);
    EXPECT_LE(distance(linear(x, w, {}), linear(on_ref(x), on_ref(w), {})), kSumTolerance);
    const Tensor wide = cast(random({2 * 70, 416}), dtype);
    EXPECT_LE(distance(linear_geglu(x, wide, {}), linear_geglu(on_ref(x), on_ref(wide), {})), kSumTolerance);
    const Tensor picture = random({1, 9, 10, 96}), taps = cast(random({40, 96, 3, 3}), dtype);
    const Tensor plain = conv2d(on_ref(picture), on_ref(taps), {}, {.pad_begin = 1});
    EXPECT_LE(distance(conv2d(picture, taps, {}, {.pad_begin = 1}), plain), 2e-5);  // Winograd's rounding
    const ConvAlgorithmScope direct(ConvAlgorithm::kDirect);
    EXPECT_LE(distance(conv2d(picture, taps, {}, {.pad_begin = 1}), plain), kSumTolerance);
  }
}

TEST_P(CpuKernels, LinearEqualsReference) {
  test::restart_random();  // a single product and a bias may nearly cancel
  struct Case {
    int64_t m, n, k;
  };
  for (const Case c : {Case{1, 1, 1},
                       {2, 5, 3},
                       {7, 33, 17},
                       {13, 32, 64},
                       {77, 96, 385},
                       {154, 70, 1000},
                       {300, 400, 64},
                       {12, 385, 768}}) {
    const Tensor x = random({c.m, c.k}), bias = random({c.n}), residual = random({c.m, c.n});
    for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      const Tensor w = cast(random({c.n, c.k}), dtype);
      EXPECT_LE(distance(linear(x, w, bias), linear(on_ref(x), on_ref(w), on_ref(bias))), kSumTolerance)
          << c.m << " " << c.n << " " << c.k;
      EXPECT_LE(distance(linear(x, w, {}, {.act = Act::kSilu, .residual = residual}),
                         linear(on_ref(x), on_ref(w), {}, {.act = Act::kSilu, .residual = on_ref(residual)})),
                kSumTolerance);
    }
  }
}

TEST_P(CpuKernels, GatedLinearEqualsItsComposition) {
  for (const auto& [m, k, n] : {std::tuple<int64_t, int64_t, int64_t>{5, 1, 40},
                                {13, 320, 70},
                                {1100, 400, 64},
                                {30, 390, 900},
                                {97, 17, 34}}) {
    const Tensor x = random({m, k}), weight = random({n, k}, 1.0f / std::sqrt(static_cast<float>(k))),
                 bias = random({n});
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      const Tensor stored = cast(weight, dtype);
      // On ref the op is the composition of the two.
      EXPECT_LE(distance(linear_geglu(x, stored, bias), linear_geglu(on_ref(x), on_ref(stored), on_ref(bias))),
                kSumTolerance)
          << m << " " << k << " " << n;
      EXPECT_LE(distance(linear_geglu(x, stored, {}), linear_geglu(on_ref(x), on_ref(stored), {})), kSumTolerance);
    }
  }
}

LowRank change_on_ref(const LowRank& change) { return {on_ref(change.down), on_ref(change.up), change.scale}; }

// Ranks around the lanes and the slices of the inner dimension; the reference adds the change to the weight, in double.
TEST_P(CpuKernels, LinearOfAChangedWeightEqualsReference) {
  struct Case {
    int64_t m, n, k, rank;
  };
  for (const Case c : {Case{1, 2, 1, 1},
                       {7, 34, 17, 3},
                       {13, 32, 64, 16},
                       {77, 96, 384, 4},
                       {50, 40, 383, 17},
                       {154, 70, 1000, 33},
                       {300, 400, 64, 8},
                       {1030, 66, 36, 5},
                       {9, 700, 50, 16},
                       {25, 48, 40, 500}}) {
    const float small = 1.0f / std::sqrt(static_cast<float>(c.k));
    const Tensor x = random({c.m, c.k}), bias = random({c.n}), residual = random({c.m, c.n});
    const Tensor weight = random({c.n, c.k}, small), down = random({c.rank, c.k}, small),
                 up = random({c.n, c.rank}, 0.3f);
    for (const auto& [of_weight, of_change] : {std::pair{DType::kF32, DType::kF32},
                                               {DType::kF16, DType::kF16},
                                               {DType::kF16, DType::kF32},
                                               {DType::kBF16, DType::kBF16}}) {
      SCOPED_TRACE(testing::Message() << c.m << " " << c.n << " " << c.k << " " << c.rank << name_of(of_change));
      const Tensor w = cast(weight, of_weight);
      const LowRank change{cast(down, of_change), cast(up, of_change), 0.7f};
      EXPECT_LE(distance(linear(x, w, bias, {.change = change}),
                         linear(on_ref(x), on_ref(w), on_ref(bias), {.change = change_on_ref(change)})),
                kSumTolerance);
      EXPECT_LE(distance(linear(x, w, {}, {.act = Act::kSilu, .residual = residual, .change = change}),
                         linear(on_ref(x), on_ref(w), {},
                                {.act = Act::kSilu, .residual = on_ref(residual), .change = change_on_ref(change)})),
                kSumTolerance);
      EXPECT_LE(distance(linear_geglu(x, w, bias, change),
                         linear_geglu(on_ref(x), on_ref(w), on_ref(bias), change_on_ref(change))),
                kSumTolerance);
    }
  }
  for (const DType dtype : {DType::kQ8, DType::kQ4}) {
    const Tensor x = random({77, 416}), w = cast(random({70, 416}, 0.05f), dtype);
    const LowRank change{random({6, 416}, 0.05f), random({70, 6}, 0.3f), 0.7f};
    EXPECT_LE(distance(linear(x, w, {}, {.change = change}),
                       linear(on_ref(x), on_ref(w), {}, {.change = change_on_ref(change)})),
              kSumTolerance);
  }
}

TEST_P(CpuKernels, ConvolutionEqualsReference) {
  struct Case {
    int64_t n, h, w, in, out, kernel, stride, pad_begin, pad_end;
  };
  for (const Case& c : {Case{1, 1, 1, 1, 1, 3, 1, 1, 1},
                        {2, 5, 7, 4, 32, 3, 1, 1, 1},
                        {1, 8, 8, 33, 17, 3, 1, 1, 1},
                        {2, 9, 6, 48, 40, 3, 2, 1, 1},
                        {1, 8, 10, 20, 24, 3, 2, 0, 1},
                        {1, 6, 5, 130, 3, 1, 1, 0, 0},
                        {1, 16, 16, 96, 64, 3, 1, 1, 1},
                        {2, 13, 18, 70, 100, 3, 1, 1, 1},
                        {1, 41, 43, 33, 34, 3, 1, 0, 0},
                        {1, 7, 7, 3, 9, 5, 1, 2, 2},
                        {1, 1, 1, 32, 3, 3, 1, 1, 1},
                        {2, 17, 13, 40, 1, 3, 1, 1, 1},
                        {2, 35, 30, 64, 3, 3, 1, 1, 1},
                        {1, 20, 25, 33, 4, 3, 1, 1, 1},
                        {1, 16, 11, 70, 5, 3, 1, 1, 1},
                        {1, 9, 24, 500, 8, 3, 1, 1, 1}}) {
    const Tensor x = random({c.n, c.h, c.w, c.in}), bias = random({c.out});
    for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      const Tensor w = cast(random({c.out, c.in, c.kernel, c.kernel}), dtype);
      Conv2dOptions options{.stride = c.stride, .pad_begin = c.pad_begin, .pad_end = c.pad_end};
      const Tensor plain = conv2d(on_ref(x), on_ref(w), on_ref(bias), options);
      EXPECT_LE(distance(conv2d(x, w, bias, options), plain), kSumTolerance) << c.h << " " << c.in << " " << c.out;
      options.residual = plain.to(Device::kCpu);
      EXPECT_LE(distance(conv2d(x, w, bias, options), plain + plain), kSumTolerance);
    }
  }
}

TEST_P(CpuKernels, NormsEqualReference) {
  for (int64_t channels : {32, 64, 96, 320}) {
    for (Act act : {Act::kNone, Act::kSilu}) {
      const Tensor x = random({2, 19, 17, channels}, 2.0f, 30.0f), gain = random({channels}), bias = random({channels});
      const GroupNormOptions options{.groups = 32, .eps = 1e-5, .act = act};
      // The mean is 15 times the spread here: the result loses a digit to cancellation in x·scale + shift.
      EXPECT_LE(
          distance(group_norm(x, gain, bias, options), group_norm(on_ref(x), on_ref(gain), on_ref(bias), options)),
          1e-5);
    }
  }
  for (int64_t channels : {1, 7, 64, 321, 1280}) {
    const Tensor x = random({41, channels}, 2.0f, 1.0f), gain = random({channels}), bias = random({channels});
    EXPECT_LE(distance(layer_norm(x, gain, bias), layer_norm(on_ref(x), on_ref(gain), on_ref(bias))), 2e-6);
  }
}

TEST_P(CpuKernels, AttentionEqualsReference) {
  struct Case {
    int64_t n, queries, keys, heads, dim;
    bool causal;
  };
  for (const Case c : {Case{1, 1, 1, 1, 1, false},
                       {2, 77, 77, 4, 16, true},
                       {1, 300, 300, 2, 40, false},
                       {1, 50, 77, 8, 4, false},
                       {1, 520, 520, 1, 8, true},
                       {1, 64, 130, 1, 512, false},
                       {2, 33, 400, 2, 80, false}}) {
    const Tensor q = random({c.n, c.queries, c.heads * c.dim}, 2.0f), k = random({c.n, c.keys, c.heads * c.dim}, 2.0f);
    const Tensor v = random({c.n, c.keys, c.heads * c.dim});
    const AttentionOptions options{.heads = c.heads, .causal = c.causal};
    EXPECT_LE(distance(attention(q, k, v, options), attention(on_ref(q), on_ref(k), on_ref(v), options)), kSumTolerance)
        << c.queries << " " << c.keys << " " << c.dim;
  }
}

TEST_P(CpuKernels, AttentionBringsNanThrough) {
  struct Case {
    int64_t queries, keys, dim;
    bool causal;
  };
  for (const Case c : {Case{1, 1, 1, false}, {50, 77, 8, false}, {40, 450, 40, false}, {300, 300, 16, true}}) {
    const AttentionOptions options{.heads = 2, .causal = c.causal};
    // In causal attention of q and k only: a hidden value weighs next to nothing here, and nothing on ref.
    for (const size_t which : {0, 1, 2}) {
      if (c.causal && which == 2) continue;
      const int64_t rows = which == 0 ? c.queries : c.keys;
      for (const int64_t row : {int64_t{0}, rows / 2, rows - 1}) {  // of the first, a middle and the last block
        std::vector<Tensor> in{random({1, c.queries, 2 * c.dim}), random({1, c.keys, 2 * c.dim}),
                               random({1, c.keys, 2 * c.dim})};
        in[which].host_edit<float>()[row * 2 * c.dim + c.dim / 2] = NAN;
        SCOPED_TRACE(testing::Message() << "input " << which << ", row " << row << " of " << rows);
        expect_same_nans(attention(in[0], in[1], in[2], options),
                         attention(on_ref(in[0]), on_ref(in[1]), on_ref(in[2]), options));
      }
    }
  }
}

// A map of 8x8 has 4 tiles of Winograd's, too few for it; two of them have enough.
TEST_P(CpuKernels, ConvolutionsDoNotDependOnTheBatchWhereItIsNotToChoose) {
  const ContextScope scope([](Context& context) { context.batch_of_choices = 1; });
  const Tensor weight = test::random({40, 32, 3, 3}, 0.1f);
  for (const int64_t side : {4, 8, 12}) {
    for (const int64_t batch : {2, 3, 9}) {
      const Tensor x = test::random({batch, side, side, 32});
      const Tensor together = conv2d(x, weight, {}, {.pad_begin = 1});
      for (int64_t i = 0; i < batch; ++i) {
        const Tensor alone = conv2d(x.rows(i, i + 1), weight, {}, {.pad_begin = 1});
        EXPECT_TRUE(test::same_bytes(together.rows(i, i + 1), alone)) << side << " " << batch << " " << i;
      }
    }
  }
}

TEST_P(CpuKernels, BytesDoNotDependOnThreads) {
  const Tensor x = random({2, 24, 20, 96}), w = cast(random({128, 96, 3, 3}), DType::kF16), bias = random({128});
  const Tensor gain = random({96}), shift = random({96}), q = random({2, 480, 96}), matrix = random({200, 96});
  const LowRank change{random({20, 96}), random({200, 20}), 0.5f};
  test::expect_same_bytes_with_any_threads([&] {
    return std::vector<Tensor>{
        conv2d(x, w, bias, {.pad_begin = 1}),      group_norm(x, gain, shift, {.groups = 32, .act = Act::kSilu}),
        attention(q, q, q, {.heads = 4}),          linear(x, matrix, {}),
        linear(x, matrix, {}, {.change = change}), linear_geglu(q, matrix, {}, change)};
  });
}

using Tensors = std::vector<Tensor>;

Tensors each(Tensors tensors, const std::function<Tensor(const Tensor&)>& f) {
  for (Tensor& tensor : tensors) tensor = f(tensor);
  return tensors;
}

// An op on activations x of any type, with parameters p.
struct StoredCase {
  const char* name;
  Tensors x, p;
  std::function<Tensor(const Tensors& x, const Tensors& p)> op;
  bool is_composed_on_ref = false;
};

std::vector<StoredCase> stored_cases() {
  const Tensor line = random({33}), other = random({33}), picture = random({2, 9, 7, 64}), tokens = random({2, 40, 48}),
               wide = random({2, 9, 7, 40}), narrow = random({2, 9, 7, 5}), gain = random({64}), bias = random({64});
  const Tensor matrix = cast(random({70, 48}, 0.15f), DType::kF16), shift = random({70}), row = random({2, 40, 70}),
               gates = random({2 * 36, 48}, 0.15f), taps = random({40, 64, 3, 3}, 0.05f), few = taps.rows(0, 5);
  const Tensor low_down = random({4, 48}, 0.15f), low_up = random({70, 4}, 0.5f);
  return {
      {"affine", {line, other}, {}, [](auto& x, auto&) { return affine(0.3f, x[0], -2.0f, x[1], 0.5f); }},
      {"affine of one", {line}, {}, [](auto& x, auto&) { return affine(0.3f, x[0], 0.0f, {}, 0.5f); }},
      {"mul", {line, other}, {}, [](auto& x, auto&) { return mul(x[0], x[1]); }},
      {"mul by itself", {line}, {}, [](auto& x, auto&) { return mul(x[0], x[0]); }},
      {"add_per_channel", {picture, random({2, 64})}, {}, [](auto& x, auto&) { return add_per_channel(x[0], x[1]); }},
      {"activate", {line}, {}, [](auto& x, auto&) { return silu(x[0]); }},
      {"geglu", {tokens}, {}, [](auto& x, auto&) { return geglu(x[0]); }},
      {"linear", {tokens}, {matrix, shift}, [](auto& x, auto& p) { return linear(x[0], p[0], p[1]); }},
      {"linear with activation and residual",
       {tokens, row},
       {matrix, shift},
       [](auto& x, auto& p) { return linear(x[0], p[0], p[1], {.act = Act::kSilu, .residual = x[1]}); }},
      {"linear_geglu", {tokens}, {gates}, [](auto& x, auto& p) { return linear_geglu(x[0], p[0], {}); }, true},
      {"linear of a changed weight",
       {tokens, row},
       {matrix, shift, low_down, low_up},
       [](auto& x, auto& p) {
         return linear(x[0], p[0], p[1], {.act = Act::kSilu, .residual = x[1], .change = {p[2], p[3], 0.5f}});
       }},
      {"conv2d",
       {picture, wide},
       {taps},
       [](auto& x, auto& p) { return conv2d(x[0], p[0], {}, {.pad_begin = 1, .residual = x[1]}); }},
      {"conv2d of stride 2",
       {picture},
       {taps},
       [](auto& x, auto& p) { return conv2d(x[0], p[0], {}, {.stride = 2, .pad_begin = 1}); }},
      {"conv2d to few",
       {picture, narrow},
       {few},
       [](auto& x, auto& p) { return conv2d(x[0], p[0], {}, {.pad_begin = 1, .residual = x[1]}); }},
      {"attention",
       {tokens, random({2, 30, 48}), random({2, 30, 48})},
       {},
       [](auto& x, auto&) { return attention(x[0], x[1], x[2], {.heads = 3}); }},
      {"self-attention",
       {tokens},
       {},
       [](auto& x, auto&) { return attention(x[0], x[0], x[0], {.heads = 3, .causal = true}); }},
      {"group_norm",
       {picture},
       {gain, bias},
       [](auto& x, auto& p) { return group_norm(x[0], p[0], p[1], {.groups = 32, .act = Act::kSilu}); }},
      {"group_norm in place",
       {picture},
       {gain, bias},
       [](auto& x, auto& p) { return group_norm(x[0].clone(), p[0], p[1], {.groups = 32}); }},
      {"layer_norm", {picture}, {gain, bias}, [](auto& x, auto& p) { return layer_norm(x[0], p[0], p[1]); }},
  };
}

// On activations stored as f16 or bf16 the kernels compute as on floats, and round the result once.
TEST_P(CpuKernels, StoredActivationsEqualReference) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    for (const StoredCase& c : stored_cases()) {
      // Where the two backends' sums differ in their last bits, and where rounding to float first makes a tie that ref
      // does not have, a few elements round to neighbours. A composition also rounds between its parts, a single kernel
      // does not.
      const double rounding = dtype == DType::kF16 ? 0x1p-11 : 0x1p-8,
                   tolerance = rounding * (c.is_composed_on_ref ? 2.0 : 1.0);
      const Tensors x = each(c.x, [&](const Tensor&t) { return cast(t, dtype); }),
                    floats = each(x, [&](const Tensor&t) { return cast(t, DType::kF32); });
      const Tensor got = c.op(x, c.p), want = c.op(each(x, on_ref), each(c.p, on_ref));
      ASSERT_EQ(got.dtype(), dtype) << c.name;
      ASSERT_EQ(want.dtype(), dtype) << c.name;
      EXPECT_LE(distance(cast(got, DType::kF32), cast(want, DType::kF32)), tolerance) << c.name;
      EXPECT_TRUE(test::same_bytes(got, cast(c.op(floats, c.p), dtype))) << c.name;
    }
  }
}

}  // namespace
}  // namespace sumi
