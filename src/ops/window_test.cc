#include "ops/window.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "core/autograd.h"
#include "ops/layout.h"
#include "ops/pixel_shuffle.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

float at(const Tensor& x, int64_t n, int64_t y, int64_t column, int64_t c) {
  return x.host<float>()[((n * x.dim(1) + y) * x.dim(2) + column) * x.dim(3) + c];
}

TEST(Window, EveryPixelIsTheRightOne) {
  const Tensor x = test::random({2, 3, 5, 2});
  const int64_t top = -7, bottom = 8, left = -2, right = 11;  // more than once around
  for (const Wraps wraps : {Wraps{}, Wraps{.y = true}, Wraps{.x = true}, Wraps{.y = true, .x = true}}) {
    const Tensor out = window(x, top, bottom, left, right, wraps);
    ASSERT_EQ(out.shape(), (Shape{2, 15, 13, 2}));
    for (int64_t n = 0; n < 2; ++n) {
      for (int64_t y = top; y < bottom; ++y) {
        for (int64_t column = left; column < right; ++column) {
          const bool inside = (wraps.y || (y >= 0 && y < 3)) && (wraps.x || (column >= 0 && column < 5));
          const float want = inside ? at(x, n, (y + 21) % 3, (column + 25) % 5, 1) : 0.0f;
          ASSERT_EQ(at(out, n, y - top, column - left, 1), want) << y << " " << column;
        }
      }
    }
  }
}

TEST(Window, TakesEveryType) {
  const Tensor x = test::random({1, 4, 4, 3});
  const Tensor want = cast(window(x, -1, 5, -1, 5, {.y = true}), DType::kF16);
  EXPECT_TRUE(test::same_bytes(window(cast(x, DType::kF16), -1, 5, -1, 5, {.y = true}), want));
}

TEST(Window, RefusesATapeAndEmptyParts) {
  Tensor x = test::random({1, 2, 2, 1});
  EXPECT_THROW(window(x, 1, 1, 0, 2, {}), Error);
  const Tape tape;
  EXPECT_NO_THROW(window(x, 0, 3, 0, 2, {}));
  x.set_requires_grad(true);
  EXPECT_THROW(window(x, 0, 3, 0, 2, {}), Error);
}

TEST(PixelShuffle, PutsChannelsWhereTheyBelong) {
  const Tensor x = test::random({2, 3, 2, 12});
  const Tensor out = pixel_shuffle(x, 2);
  ASSERT_EQ(out.shape(), (Shape{2, 6, 4, 3}));
  for (int64_t y = 0; y < 6; ++y) {
    for (int64_t column = 0; column < 4; ++column) {
      for (int64_t c = 0; c < 3; ++c)
        EXPECT_EQ(at(out, 1, y, column, c), at(x, 1, y / 2, column / 2, c * 4 + y % 2 * 2 + column % 2));
    }
  }
  EXPECT_TRUE(test::same_bytes(pixel_unshuffle(out, 2), x));
  EXPECT_TRUE(test::same_bytes(pixel_shuffle(x, 1), x));
  EXPECT_THROW(pixel_unshuffle(x, 2), Error);
  EXPECT_THROW(pixel_shuffle(x, 5), Error);
}

}  // namespace
}  // namespace sumi
