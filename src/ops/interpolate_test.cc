#include "ops/interpolate.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/check.h"
#include "base/parallel.h"
#include "ops/layout.h"
#include "tests/support/mini_safetensors.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

const std::string kVectors = std::string(SUMI_TEST_DATA) + "/resample.safetensors";
constexpr double kRounding = 1e-6;  // float32, at most 16 terms a value

// A tensor of the vectors, of 2 channels, as [1,H,W,2].
Tensor vector(const std::string& name, int64_t height, int64_t width, Device device = Device::kCpu) {
  return nchw_to_nhwc(Tensor::from(test::read_tensor<float>(kVectors, name), {1, 2, height, width}, device));
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  std::istringstream list{std::string(kInterpolationNames)};
  for (std::string name; std::getline(list >> std::ws, name, ',');) all.push_back(name);
  return all;
}

class Interpolate : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(HostDevices, Interpolate, testing::Values(Device::kRef, Device::kCpu),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST_P(Interpolate, EqualsPyTorchAtASize) {
  const Tensor x = vector("torch_x", 7, 9, GetParam());
  ASSERT_EQ(names().size(), 8u);
  for (const std::string& name : names()) {
    for (const auto& [h, w] : {std::pair<int64_t, int64_t>{14, 18}, {11, 14}, {13, 5}, {5, 4}, {3, 7}}) {
      const std::string of = fmt::format("torch_{}_{}x{}", name, h, w);
      const Tensor got = interpolate(x, h, w, *find_interpolation(name));
      EXPECT_EQ(got.device(), GetParam());
      EXPECT_LE(test::relative_l2(got, vector(of, h, w)), name.starts_with("nearest") ? 0.0 : kRounding) << of;
    }
  }
}

TEST_P(Interpolate, EqualsPyTorchAtAScale) {
  const Tensor x = vector("torch_x", 7, 9, GetParam());
  for (const std::string& name : names()) {
    const Interpolation mode = *find_interpolation(name);
    if (mode == Interpolation::kArea || mode == Interpolation::kBilinearAlignCorners) continue;
    for (const char* scale : {"1.5", "2.0", "0.6"}) {
      const double factor = std::stod(scale);
      const int64_t h = scaled_side(7, factor), w = scaled_side(9, factor);
      const std::string of = fmt::format("torch_{}_scale{}", name, scale);
      EXPECT_LE(test::relative_l2(interpolate(x, h, w, mode, factor), vector(of, h, w)),
                name.starts_with("nearest") ? 0.0 : kRounding)
          << of;
    }
  }
}

TEST_P(Interpolate, PicturesOfABatchStayApart) {
  const Tensor x = vector("torch_x", 7, 9, GetParam());
  Tensor two = Tensor::zeros({2, 7, 9, 2}, DType::kF32, GetParam());
  Tensor second = two.rows(1, 2);
  second.copy_from(x);
  const Tensor got = interpolate(two, 10, 20, Interpolation::kBicubicAntialias);
  EXPECT_TRUE(test::same_bytes(got.rows(1, 2), interpolate(x, 10, 20, Interpolation::kBicubicAntialias)));
  for (const float value : got.rows(0, 1).host<float>()) ASSERT_EQ(value, 0.0f);
}

TEST_P(Interpolate, ConstantsStayAndOnePixelIsEnough) {
  for (const std::string& name : names()) {
    for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {2, 64}, {33, 3}}) {
      for (const Shape& shape : {Shape{1, 1, 1, 3}, Shape{1, 5, 40, 3}}) {
        const Tensor got = interpolate(Tensor::full(shape, 0.7f, GetParam()), h, w, *find_interpolation(name));
        for (const float value : got.host<float>()) ASSERT_NEAR(value, 0.7f, 1e-6f) << name;
      }
    }
  }
}

TEST(InterpolateThreads, TheirNumberChangesNoByte) {
  ThreadPool one(1), three(3);
  const Tensor x = vector("torch_x", 7, 9);
  const auto made = [&](ThreadPool& pool) {
    const PoolScope scope(&pool);
    return interpolate(x, 50, 31, Interpolation::kBicubic);
  };
  EXPECT_TRUE(test::same_bytes(made(one), made(three)));
}

TEST(InterpolateChecks, RefusesWhatIsNoPicture) {
  const Tensor x = Tensor::zeros({1, 4, 4, 2});
  EXPECT_THROW(interpolate(x, 0, 4, Interpolation::kNearest), Error);
  EXPECT_THROW(interpolate(Tensor::zeros({4, 4}), 2, 2, Interpolation::kNearest), Error);
  EXPECT_THROW(interpolate(Tensor::zeros({1, 4, 4, 2}, DType::kF16), 2, 2, Interpolation::kNearest), Error);
  EXPECT_THROW(interpolate(x, 2, 2, Interpolation::kBilinear, -0.5), Error);
  EXPECT_EQ(find_interpolation("cubic"), std::nullopt);
}

}  // namespace
}  // namespace sumi
