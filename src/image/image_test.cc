// Conversion and grid.
#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "image/convert.h"
#include "image/grid.h"

namespace sumi::image {
namespace {

TEST(Convert, ClampsAndTruncates) {
  // 0.5 is 127.5 of 255: truncated to 127. 254.99 stays 254.
  const Tensor picture =
      Tensor::from(std::vector<float>{-1.0f, 0.0f, 1.0f, -3.0f, 7.0f, 2 * 254.99f / 255 - 1}, {1, 1, 2, 3});
  const std::vector<Image> images = to_images(picture);
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0].width, 2);
  EXPECT_EQ(images[0].height, 1);
  EXPECT_EQ(images[0].pixels, (std::vector<uint8_t>{0, 127, 255, 0, 255, 254}));
}

TEST(Convert, KeepsPicturesApartAndRowsInOrder) {
  Tensor pictures = Tensor::full({2, 3, 4, 3}, -1.0f);
  pictures.host_edit<float>()[((1 * 3 + 2) * 4 + 1) * 3] = 1.0f;  // second picture, row 2, column 1, red
  const std::vector<Image> images = to_images(pictures);
  EXPECT_EQ(images[0], Image(4, 3));
  EXPECT_EQ(images[1].row(2)[3], 255);
}

TEST(Convert, RefusesNumbersThatAreNone) {
  const Tensor picture = Tensor::full({1, 1, 1, 3}, NAN);
  EXPECT_THROW(to_images(picture), Error);
  EXPECT_THROW(to_images(Tensor::zeros({1, 3, 8, 8})), Error);
}

TEST(Convert, ComesBackFromEightBits) {
  Image image(2, 1);
  image.pixels = {0, 51, 102, 153, 204, 255};
  const Tensor x = from_images({image});
  EXPECT_EQ(x.shape(), (Shape{1, 1, 2, 3}));
  EXPECT_FLOAT_EQ(x.host<float>()[0], -1.0f);
  EXPECT_FLOAT_EQ(x.host<float>()[1], -0.6f);
  EXPECT_FLOAT_EQ(x.host<float>()[5], 1.0f);
  EXPECT_THROW(from_images({image, Image(1, 1)}), Error);
}

Image solid(int64_t width, int64_t height, uint8_t value) {
  Image image(width, height);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

TEST(Grid, LaysPicturesOutWithBlackGutters) {
  const Image grid = make_grid({solid(3, 2, 10), solid(3, 2, 20), solid(3, 2, 30)}, 2);
  EXPECT_EQ(grid.width, 2 * (3 + 2) + 2);
  EXPECT_EQ(grid.height, 2 * (2 + 2) + 2);
  const auto at = [&](int64_t x, int64_t y) { return static_cast<int>(grid.row(y)[3 * x]); };
  EXPECT_EQ(at(0, 0), 0);
  EXPECT_EQ(at(1, 3), 0);
  EXPECT_EQ(at(2, 2), 10);
  EXPECT_EQ(at(4, 3), 10);
  EXPECT_EQ(at(5, 3), 0);
  EXPECT_EQ(at(7, 2), 20);
  EXPECT_EQ(at(2, 6), 30);
  EXPECT_EQ(at(7, 6), 0);  // the last row is short
  EXPECT_EQ(at(11, 9), 0);
}

TEST(Grid, HasNoMoreColumnsThanPictures) { EXPECT_EQ(make_grid({solid(4, 4, 1), solid(4, 4, 2)}, 9).width, 2 * 6 + 2); }

TEST(Grid, LeavesASinglePictureAlone) { EXPECT_EQ(make_grid({solid(4, 4, 5)}, 3), solid(4, 4, 5)); }

TEST(Grid, ItsSizeIsKnownBefore) {
  for (const int64_t count : {1, 2, 5, 6, 7}) {
    const Image grid = make_grid(std::vector<Image>(static_cast<size_t>(count), solid(3, 2, 1)), 3);
    const GridSize size = grid_size(count, solid(3, 2, 1), 3);
    EXPECT_EQ(size.width, grid.width) << count;
    EXPECT_EQ(size.height, grid.height) << count;
  }
}

TEST(Grid, TooLargeOnesAreToldApart) {
  const Image usual(512, 512);
  EXPECT_TRUE(grid_size(6, usual, 3).can_be_made());
  EXPECT_TRUE(grid_size(250, usual, 10).can_be_made());
  EXPECT_FALSE(grid_size(260, usual, 10).can_be_made());
  EXPECT_FALSE(grid_size(1'000'000, Image(64, 64), 1).can_be_made());
  EXPECT_FALSE(grid_size(1'000'000'000'000, usual, INT64_MAX).can_be_made());  // no product overflows
}

TEST(Grid, RefusesWhatMakesNone) {
  EXPECT_THROW(make_grid({}, 1), Error);
  EXPECT_THROW(make_grid({solid(4, 4, 1), solid(4, 5, 1)}, 2), Error);
  EXPECT_THROW(make_grid({solid(4, 4, 1), solid(4, 4, 1)}, 0), Error);
}

}  // namespace
}  // namespace sumi::image
