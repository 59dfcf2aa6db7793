#include "base/rng.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/philox.h"
#include "tests/support/mini_safetensors.h"

namespace sumi {
namespace {

constexpr uint64_t kSeeds[] = {0, 42, 1234567890123};

template <class T> std::vector<T> golden(const std::string& name) {
  return test::read_tensor<T>(SUMI_TEST_DATA "/torch_cpu_rng.safetensors", name);
}

std::vector<float> randn(Generator& generator, size_t count) {
  std::vector<float> values(count);
  generator.randn(values);
  return values;
}

std::vector<float> rand(Generator& generator, size_t count) {
  std::vector<float> values(count);
  generator.rand(values);
  return values;
}

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
}

TEST(TorchCpuGenerator, RandnOfEverySizeClassEqualsTorch) {
  for (const uint64_t seed : kSeeds) {
    for (const int count : {1, 3, 15, 16, 17, 31, 32, 1000, 16384}) {
      SCOPED_TRACE(fmt::format("seed {} count {}", seed, count));
      TorchCpuGenerator generator(seed);
      expect_near(randn(generator, count), golden<float>(fmt::format("randn_s{}_n{}", seed, count)), 1e-6);
    }
  }
}

TEST(TorchCpuGenerator, DrawsInARowGoOnFromOneAnother) {
  for (const uint64_t seed : kSeeds) {
    TorchCpuGenerator generator(seed);
    std::vector<float> values;
    for (const int count : {256, 5, 256}) {
      const std::vector<float> draw = randn(generator, count);
      values.insert(values.end(), draw.begin(), draw.end());
    }
    expect_near(values, golden<float>(fmt::format("seq_s{}", seed)), 1e-6);
  }
}

TEST(TorchCpuGenerator, SmallDrawsShareTheWaitingNormalAcrossBlockDraws) {
  TorchCpuGenerator once(7);
  const std::vector<float> together = randn(once, 4);
  TorchCpuGenerator twice(7);
  std::vector<float> apart = randn(twice, 3);
  randn(twice, 16);  // takes no part in the pairing of the small draws
  apart.push_back(randn(twice, 1)[0]);
  EXPECT_EQ(together, apart);
}

TEST(TorchCpuGenerator, RandRandintRandpermInARowEqualTorch) {
  for (const uint64_t seed : kSeeds) {
    TorchCpuGenerator generator(seed);
    EXPECT_EQ(rand(generator, 100), golden<float>(fmt::format("rand_s{}", seed)));
    std::vector<int64_t> integers(64);
    generator.randint(0, 1000, integers);
    EXPECT_EQ(integers, golden<int64_t>(fmt::format("randint_s{}", seed)));
    EXPECT_EQ(generator.randperm(50), golden<int64_t>(fmt::format("randperm_s{}", seed)));
  }
}

TEST(TorchCpuGenerator, OddRangesAreRefusedOrStayInside) {
  TorchCpuGenerator generator(1);
  std::vector<int64_t> values(100);
  EXPECT_THROW(generator.randint(3, 3, values), Error);
  EXPECT_THROW(generator.randperm(-1), Error);
  EXPECT_THROW(generator.randperm(INT64_MAX), Error);
  EXPECT_TRUE(generator.randperm(0).empty());
  EXPECT_EQ(generator.randperm(1), std::vector<int64_t>{0});
  generator.randint(INT64_MIN, INT64_MAX, values);
  EXPECT_NE(values.front(), values.back());
  generator.randint(-(int64_t{1} << 40), -1, values);
  for (const int64_t value : values) {
    EXPECT_GE(value, -(int64_t{1} << 40));
    EXPECT_LT(value, -1);
  }
}

// The vectors published with Random123 (tests/kat_vectors, "philox4x32 10").
TEST(Philox, KnownAnswers) {
  using Counter = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// What torch prints on NVIDIA cards, to its four decimals. randn of seed 0: the example of AUTOMATIC1111's
// rng_philox; randn of seed 42: FlashInfer's documentation; rand of seed 0: TensorRT-LLM's tests, and its second draw
// as printed in Triton tutorials.
TEST(TorchCudaGenerator, EqualsPublishedTorchCudaNumbers) {
  TorchCudaGenerator zero(0);
  expect_near(randn(zero, 12),
              {-0.92466259f, -0.42534415f, -2.6438457f, 0.14518388f, -0.12086647f, -0.57972564f, -0.62285122f,
               -0.32838709f, -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f},
              2e-6);
  TorchCudaGenerator answer(42);
  expect_near(randn(answer, 19),
              {0.1940f, 2.1614f, -0.1721f, 0.8491f, -1.9244f, 0.6530f, -0.6494f, -0.8175f, 0.5280f, -1.2753f, -1.6621f,
               -0.3033f, -0.0926f, 0.1992f, -1.1204f, 1.8577f, -0.7145f, 0.6881f, 0.7968f},
              6e-5);
  TorchCudaGenerator uniform(0);
  expect_near(rand(uniform, 10),
              {0.3990f, 0.5167f, 0.0249f, 0.9401f, 0.9459f, 0.7967f, 0.4150f, 0.8203f, 0.2290f, 0.9096f}, 6e-5);
  expect_near(rand(uniform, 10),
              {0.9722f, 0.7910f, 0.4690f, 0.3300f, 0.3345f, 0.3783f, 0.7640f, 0.6405f, 0.1103f, 0.3594f}, 6e-5);
}

TEST(TorchCudaGenerator, BeyondTheGridEachThreadMakesFourElements) {
  constexpr uint64_t kGrid = 221184;  // 108 multiprocessors of 2048 threads
  TorchCudaGenerator large(3), small(3);
  const std::vector<float> many = randn(large, 4 * kGrid + 5);
  const std::vector<float> few = randn(small, kGrid);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
  const std::vector<float> second = randn(small, 5);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), many.begin() + 4 * kGrid));
  // Sine and cosine of one angle: elements k and k + grid lie on the circle of one radius.
  const double squared = many[9] * double{many[9]} + many[9 + kGrid] * double{many[9 + kGrid]};
  const auto bits = philox4x32_10({0, 0, 9, 0}, {3, 0});
  EXPECT_NEAR(squared, -2.0 * std::log((bits[0] + 0.5) * 0x1p-32), 1e-5);
}

// numpy 1.24: RandomState(7).randn(5), one more, then .rand(2).
TEST(NumpyGenerator, DrawsAsRandomState) {
  NumpyGenerator generator(7);
  EXPECT_THAT(randn(generator, 5),
              testing::Pointwise(testing::FloatEq(), {1.6905257f, -0.46593738f, 0.03282017f, 0.40751627f, -0.788923f}));
  EXPECT_NEAR(randn(generator, 1)[0], 0.00206557, 1e-8);
  EXPECT_THAT(rand(generator, 2), testing::Pointwise(testing::FloatEq(), {0.268439f, 0.4998825f}));
}

TEST(Generators, AreNormalAndUniform) {
  for (const char* name : {"cpu", "cuda", "numpy"}) {
    const auto generator = make_generator(name, 99);
    const std::vector<float> normal = randn(*generator, 1'000'000);
    double mean = 0.0, square = 0.0;
    for (const float value : normal) {
      ASSERT_TRUE(std::isfinite(value));
      mean += value / 1e6;
      square += value * double{value} / 1e6;
    }
    EXPECT_NEAR(mean, 0.0, 5e-3) << name;  // five standard errors
    EXPECT_NEAR(square, 1.0, 7e-3) << name;
    for (const float value : rand(*generator, 100'000)) {
      ASSERT_GE(value, 0.0f);
      ASSERT_LT(value, 1.0f);
    }
  }
  EXPECT_THROW(make_generator("mps", 0), Error);
}

}  // namespace
}  // namespace sumi
