#include "ops/weigh_rows.h"

#include <gtest/gtest.h>

#include "base/check.h"

namespace sumi {
namespace {

class WeighRows : public testing::TestWithParam<Device> {};

INSTANTIATE_TEST_SUITE_P(HostDevices, WeighRows, testing::Values(Device::kRef, Device::kCpu),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST_P(WeighRows, KeepsTheMean) {
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}, GetParam());
  const HostView<float> got(weigh_rows(x, {1.0f, 2.0f}));
  // Weighted to 1, 2, 6, 8 of mean 4.25, then scaled back to the mean 2.5.
  const std::vector<float> want{1 * 2.5f / 4.25f, 2 * 2.5f / 4.25f, 6 * 2.5f / 4.25f, 8 * 2.5f / 4.25f};
  for (int64_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], want[static_cast<size_t>(i)], 1e-6f);
  EXPECT_EQ(x.host<float>()[2], 3.0f);  // what it was given stays
}

TEST_P(WeighRows, ZeroWeightsLeaveNumbers) {
  const Tensor x = Tensor::from(std::vector<float>{1, 2}, {2, 1}, GetParam());
  for (const float value : weigh_rows(x, {0.0f, 0.0f}).host<float>()) EXPECT_EQ(value, 0.0f);
}

TEST_P(WeighRows, WantsAWeightForEachRow) {
  const Tensor x = Tensor::from(std::vector<float>{1, 2}, {2, 1}, GetParam());
  EXPECT_THROW(weigh_rows(x, {1.0f}), Error);
}

}  // namespace
}  // namespace sumi
