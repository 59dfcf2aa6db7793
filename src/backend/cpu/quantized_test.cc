// Weights of every quantised type, as they lie in a file: products as with their values in float32.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>

#include "core/quantized.h"
#include "ops/conv.h"
#include "ops/embedding.h"
#include "ops/layout.h"
#include "ops/matmul.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

constexpr DType kTypes[] = {DType::kQ8,   DType::kQ4,  DType::kQ4_1, DType::kQ5_0,
                            DType::kQ5_1, DType::kQ4K, DType::kQ5K,  DType::kQ6K};

// Any bytes are a block; those of its f16 scales are kept small.
Tensor random_blocks(DType dtype, const Shape& shape) {
  Tensor out = Tensor::empty(shape, dtype);
  const HostEdit<std::byte> bytes(out);
  std::mt19937 random(5);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  const auto block = static_cast<size_t>(bytes_of_block(dtype));
  for (size_t at = 0; at < static_cast<size_t>(bytes.size()); at += block) {
    const size_t scale = dtype == DType::kQ6K ? at + 208 : at;
    const bool two = dtype == DType::kQ4_1 || dtype == DType::kQ5_1 || dtype == DType::kQ4K || dtype == DType::kQ5K;
    bytes.data()[scale + 1] = static_cast<std::byte>(0x20 + random() % 4);
    if (two) bytes.data()[scale + 3] = static_cast<std::byte>(0x20 + random() % 4);
  }
  return out;
}

TEST(QuantizedWeights, MultiplyAsTheirValuesDo) {
  const Tensor x = test::random({13, 512}), bias = test::random({70});
  for (const DType dtype : kTypes) {
    const Tensor weight = random_blocks(dtype, {70, 512}), wide = cast(weight, DType::kF32);
    const Tensor want = linear(x, wide, bias);
    EXPECT_LE(test::relative_l2(linear(x, weight, bias), want), 1e-6) << name_of(dtype);
    const Tensor there = linear(x.to(Device::kRef), weight.to(Device::kRef), bias.to(Device::kRef));
    EXPECT_LE(test::relative_l2(there.to(Device::kCpu), want), 1e-6) << name_of(dtype);
    const Tensor ids = Tensor::from(std::vector<int64_t>{3, 69, 0}, {3});
    EXPECT_TRUE(test::same_bytes(embedding(ids, weight), embedding(ids, wide))) << name_of(dtype);
  }
}

// Convolutions too, 3x3 (Winograd's way where the blocks allow it) and 1x1.
TEST(QuantizedWeights, ConvolveAsTheirValuesDo) {
  const Tensor x = test::random({1, 16, 16, 256}), bias = test::random({32});
  for (const DType dtype : kTypes) {
    for (const int64_t kernel : {1, 3}) {
      const Tensor weight = random_blocks(dtype, {32, 256, kernel, kernel}), wide = cast(weight, DType::kF32);
      const Conv2dOptions options{.pad_begin = kernel / 2};
      const Tensor want = conv2d(x.to(Device::kRef), wide.to(Device::kRef), bias.to(Device::kRef), options);
      const Tensor here = conv2d(x, weight, bias, options);
      EXPECT_LE(test::relative_l2(here, want.to(Device::kCpu)), 2e-5) << name_of(dtype) << " " << kernel;
      const Tensor there = conv2d(x.to(Device::kRef), weight.to(Device::kRef), bias.to(Device::kRef), options);
      EXPECT_LE(test::relative_l2(there.to(Device::kCpu), want.to(Device::kCpu)), 1e-6) << name_of(dtype);
    }
  }
}

// Of the types that can be written, the error of normal values; docs/numerics.md has the figures.
TEST(QuantizedWeights, RoundingErrors) {
  const Tensor x = test::random({64, 1024});
  EXPECT_LE(test::relative_l2(cast(cast(x, DType::kQ8), DType::kF32), x), 6e-3);
  EXPECT_LE(test::relative_l2(cast(cast(x, DType::kQ4), DType::kF32), x), 0.1);
  EXPECT_GT(test::relative_l2(cast(cast(x, DType::kQ4), DType::kF32), x), 0.02);
  for (const DType dtype : {DType::kQ4_1, DType::kQ6K}) EXPECT_THROW(cast(x, dtype), Error);
}

TEST(EightBitFloats, HaveTheirValues) {
  const auto value = [](DType dtype, uint8_t bits) {
    Tensor one = Tensor::empty({1}, dtype);
    one.write(std::as_bytes(std::span<const uint8_t>(&bits, 1)));
    return cast(one, DType::kF32).host<float>()[0];
  };
  EXPECT_EQ(value(DType::kF8E4M3, 0x38), 1.0f);
  EXPECT_EQ(value(DType::kF8E4M3, 0xB8), -1.0f);
  EXPECT_EQ(value(DType::kF8E4M3, 0x7E), 448.0f);
  EXPECT_EQ(value(DType::kF8E4M3, 0x01), 0x1p-9f);
  EXPECT_TRUE(std::isnan(value(DType::kF8E4M3, 0x7F)));
  EXPECT_EQ(value(DType::kF8E5M2, 0x3C), 1.0f);
  EXPECT_EQ(value(DType::kF8E5M2, 0x7B), 57344.0f);
  EXPECT_EQ(value(DType::kF8E5M2, 0x01), 0x1p-16f);
  EXPECT_TRUE(std::isinf(value(DType::kF8E5M2, 0x7C)));
  // All values of both are values of f16.
  for (const DType dtype : {DType::kF8E4M3, DType::kF8E5M2}) {
    for (int bits = 0; bits < 256; ++bits) {
      const float v = value(dtype, static_cast<uint8_t>(bits));
      EXPECT_TRUE(std::isnan(v) || to_float(to_half(v)) == v) << bits;
    }
  }
}

}  // namespace
}  // namespace sumi
