#include "engine/canvas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"

namespace sumi::engine {
namespace {

using image::Image;
using testing::HasSubstr;

GivenPictures given(Image picture, Image mask) {
  GivenPictures pictures;
  pictures.init = GivenPicture{std::move(picture), {}};
  pictures.mask = GivenPicture{std::move(mask), {}};
  return pictures;
}

// White in the box alone.
Image mask_of(int64_t width, int64_t height, const image::Box& box) {
  Image mask(width, height, 1);
  for (int64_t y = box.top; y < box.top + box.height; ++y) std::fill_n(mask.row(y) + box.left, box.width, uint8_t{255});
  return mask;
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
    return error.what();
  }
  return "none";
}

// A wide blur rounds a single pixel to nothing.
TEST(Canvas, AMaskThatItsBlurWipesOutIsRefused) {
  const GivenPictures dot = given(Image(64, 64), mask_of(64, 64, {35, 35, 1, 1}));
  for (const std::optional<int64_t> padding : {std::optional<int64_t>(), std::optional<int64_t>(8)}) {
    EXPECT_THAT(refusal([&] { make_canvas(dot, {.blur = 32, .padding = padding}); }), HasSubstr("`mask_blur` 32"));
    EXPECT_EQ(refusal([&] { make_canvas(dot, {.default_size = 64, .padding = padding}); }), "none");
  }
}

TEST(Canvas, AMaskWithoutAPointOfTheLatentIsRefused) {
  const auto check = [](const image::Box& box, int64_t blur, Convention convention) {
    const Canvas canvas =
        make_canvas(given(Image(64, 64), mask_of(64, 64, box)), {.blur = blur, .convention = convention});
    return refusal([&] { check_latent_mask(canvas, 8, 8, convention); });
  };
  // The top left pixel of each point decides; of the softened mask its mean does.
  EXPECT_THAT(check({35, 35, 1, 1}, 0, Convention::kDiffusers), HasSubstr("of the 8x8 points of the latent none"));
  EXPECT_EQ(check({32, 32, 1, 1}, 0, Convention::kDiffusers), "none");
  EXPECT_THAT(check({32, 32, 1, 1}, 0, Convention::kWebui), HasSubstr("`mask_blur`"));
  EXPECT_EQ(check({32, 32, 8, 8}, 0, Convention::kWebui), "none");
  // What is cut off with the picture's edge.
  GivenPictures wide = given(Image(128, 64), mask_of(128, 64, {0, 0, 20, 64}));
  const Canvas cut = make_canvas(wide, {.width = 32, .height = 64, .resize = "crop"});
  EXPECT_THAT(refusal([&] { check_latent_mask(cut, 8, 4, Convention::kWebui); }), HasSubstr("inside what is drawn"));
}

TEST(Canvas, SizesHaveABound) {
  GivenPictures pictures;
  pictures.init = GivenPicture{Image(8, 8), {}};
  EXPECT_THAT(refusal([&] { make_canvas(pictures, {.width = 16384, .height = 8192}); }), HasSubstr("16384x8192"));
  pictures.mask = GivenPicture{mask_of(8, 8, {0, 0, 8, 8}), {}};
  EXPECT_THAT(refusal([&] { make_canvas(pictures, {.width = 16384, .height = 8192}); }), HasSubstr("16384x8192"));
}

}  // namespace
}  // namespace sumi::engine
