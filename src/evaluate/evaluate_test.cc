#include <gtest/gtest.h>

#include "base/check.h"
#include "evaluate/kernel_distance.h"
#include "evaluate/retrieval.h"
#include "tests/support/random_tensor.h"

namespace sumi::evaluate {
namespace {

image::Image plain(uint8_t value) {
  image::Image picture(48, 40);
  std::fill(picture.pixels.begin(), picture.pixels.end(), value);
  return picture;
}

TEST(Retrieval, CountsHowManyAreNearer) {
  std::vector<std::vector<float>> references;
  for (const int value : {0, 50, 100, 150, 200, 250})
    references.push_back(thumbnail(plain(static_cast<uint8_t>(value))));
  EXPECT_EQ(references[0].size(), 32u * 32u * 3u);
  EXPECT_EQ(place_of(thumbnail(plain(101)), references, 2), 1);
  EXPECT_EQ(place_of(thumbnail(plain(101)), references, 3), 2);
  EXPECT_EQ(place_of(thumbnail(plain(101)), references, 5), 6);
  EXPECT_EQ(place_of(thumbnail(plain(0)), {references[1], references[1]}, 1), 2) << "of equals the first is nearer";
  Retrieval retrieval;
  for (const int64_t place : {1, 1, 3, 6}) retrieval.add(place);
  EXPECT_DOUBLE_EQ(retrieval.top1(), 0.5);
  EXPECT_DOUBLE_EQ(retrieval.top5(), 0.75);
}

// By hand: x rows (1,0) and (0,1), y both (1,1), d = 2.
TEST(KernelDistance, IsTheUnbiasedEstimate) {
  const Tensor x = Tensor::from(std::vector<float>{1, 0, 0, 1}, {2, 2}),
               y = Tensor::from(std::vector<float>{1, 1, 1, 1}, {2, 2});
  // k(x1,x2) = 1, k(y1,y2) = 8, k(x,y) = 1.5³ = 3.375
  EXPECT_DOUBLE_EQ(kernel_distance(x, y), 1.0 + 8.0 - 2.0 * 3.375);
}

TEST(KernelDistance, TellsDistributionsApart) {
  const Tensor a = test::random({200, 16}), b = test::random({200, 16}), c = test::random({200, 16}, 1.0f, 0.5f);
  EXPECT_NEAR(kernel_distance(a, b), 0.0, 0.02);
  EXPECT_GT(kernel_distance(a, c), 0.3);
}

TEST(RandomFeatures, AreTheSameEverywhereAndSeeShapes) {
  const RandomFeatures features, again;
  image::Image edge = plain(0);
  for (int64_t y = 0; y < 20; ++y) std::fill(edge.row(y), edge.row(y + 1), uint8_t{255});
  const Tensor both = features({plain(0), edge});
  EXPECT_EQ(both.shape(), (Shape{2, RandomFeatures::kCount}));
  const HostView<float> x(both), y(again({edge}));
  for (int64_t i = 0; i < RandomFeatures::kCount; ++i) {
    ASSERT_TRUE(std::isfinite(x[i]));
    ASSERT_EQ(x[RandomFeatures::kCount + i], y[i]);
  }
}

}  // namespace
}  // namespace sumi::evaluate
