#include "engine/noise.h"

#include <gtest/gtest.h>

#include <vector>

namespace sumi::engine {
namespace {

TEST(NoiseStream, DrawsInTheOrderOfChannelsFirst) {
  TorchCpuGenerator generator(42);
  std::vector<float> nchw(2 * 4 * 3 * 5), later(7);
  generator.randn(nchw);
  generator.randn(later);
  NoiseStream noise("cpu", 42, Device::kCpu);
  const Tensor drawn = noise({2, 3, 5, 4});
  for (int n = 0; n < 2; ++n) {
    for (int c = 0; c < 4; ++c) {
      for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < 5; ++x) {
          EXPECT_EQ(drawn.host<float>()[((n * 3 + y) * 5 + x) * 4 + c],
                    nchw[static_cast<size_t>(((n * 4 + c) * 3 + y) * 5 + x)]);
        }
      }
    }
  }
  const Tensor next = noise({1, 1, 7, 1});
  for (int i = 0; i < 7; ++i) EXPECT_EQ(next.host<float>()[i], later[static_cast<size_t>(i)]);
}

}  // namespace
}  // namespace sumi::engine
