#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/host_memory.h"
#include "core/tensor.h"

namespace sumi {
namespace {

TEST(Dtype, HalfRoundTripsEveryBitPattern) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<uint16_t>(bits)};
    const float wide = to_float(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_float(to_half(wide))));
    } else {
      ASSERT_EQ(to_half(wide).bits, half.bits) << bits;
    }
  }
}

TEST(Dtype, HalfRoundsToNearestEven) {
  EXPECT_EQ(to_half(1.0f + 0x1p-11f).bits, to_half(1.0f).bits);  // a tie goes to the even neighbour
  EXPECT_EQ(to_half(1.0f + 3 * 0x1p-11f).bits, to_half(1.0f + 0x1p-9f).bits);
  EXPECT_EQ(to_half(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);  // half-way to 65536: infinity
  EXPECT_EQ(to_half(0x1p-25f).bits, 0);       // half the smallest subnormal: even, zero
  EXPECT_EQ(to_half(0x1.8p-25f).bits, 1);
}

TEST(Dtype, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-8f).bits, to_bfloat16(1.0f).bits);
  EXPECT_EQ(to_bfloat16(1.0f + 3 * 0x1p-8f).bits, to_bfloat16(1.0f + 0x1p-6f).bits);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(NAN))));
}

TEST(Tensor, ViewsShareBytesAndClonesDoNot) {
  Tensor a = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor row = a.rows(1, 2);
  EXPECT_EQ(row.shape(), (Shape{1, 2}));
  row.host_edit<float>()[0] = 30;
  EXPECT_EQ(a.host<float>()[2], 30);
  Tensor copy = a.clone();
  copy.host_edit<float>()[0] = 7;
  EXPECT_EQ(a.host<float>()[0], 1);
  EXPECT_EQ(a.reshape({2, -1}).dim(1), 3);
  EXPECT_THROW(a.reshape({4, 2}), Error);
  EXPECT_THROW(a.rows(2, 4), Error);
}

TEST(HostMemory, KeptBlocksNeverRaiseThePeak) {
  release_cached_host_memory();
  const int64_t before = host_memory().live_bytes;
  { Tensor big = Tensor::empty({8 << 20}); }
  const int64_t peak = host_memory().peak_bytes;
  for (int64_t size : {3 << 20, 5 << 20, 7 << 20, 1 << 20}) {
    Tensor a = Tensor::empty({size});
    const HostEdit<std::byte> bytes(a);
    std::fill(bytes.begin(), bytes.end(), std::byte{1});
    const HostMemory memory = host_memory();
    EXPECT_LE(memory.live_bytes + memory.cached_bytes, peak);
  }
  EXPECT_EQ(host_memory().live_bytes, before);
}

}  // namespace
}  // namespace sumi
