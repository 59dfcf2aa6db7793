// Edges as hints for ControlNets.
#include "image/hints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"

namespace sumi::image {
namespace {

using testing::HasSubstr;

// A grey box on black: [8, 24) × [8, 24) of 32 × 40 pixels.
Image box(uint8_t grey) {
  Image picture(32, 40);
  for (int64_t y = 8; y < 24; ++y) std::fill_n(picture.row(y) + 3 * 8, 3 * 16, grey);
  return picture;
}

std::string refusal(const Image& picture) {
  try {
    canny(picture);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

#ifdef SUMI_WITH_OPENCV

TEST(Canny, DrawsTheOutlineInWhite) {
  const Image edges = canny(box(200));
  ASSERT_EQ(edges.width, 32);
  ASSERT_EQ(edges.height, 40);
  ASSERT_EQ(edges.channels, 3);
  int64_t white = 0;
  for (int64_t y = 0; y < edges.height; ++y) {
    for (int64_t x = 0; x < edges.width; ++x) {
      const uint8_t* pixel = edges.row(y) + 3 * x;
      ASSERT_TRUE(pixel[0] == 0 || pixel[0] == 255);
      ASSERT_EQ(pixel[1], pixel[0]);
      ASSERT_EQ(pixel[2], pixel[0]);
      if (pixel[0] == 0) continue;
      ++white;
      const auto beside = [](int64_t at) { return std::abs(at - 7) <= 1 || std::abs(at - 24) <= 1; };
      EXPECT_TRUE(beside(x) || beside(y)) << x << ' ' << y;
    }
  }
  EXPECT_GE(white, 4 * 12);  // one pixel thin, but for the corners
  EXPECT_LE(white, 4 * 18);
}

TEST(Canny, TakesTheStrongestChannelAndTheThresholds) {
  Image blue = box(0);
  for (int64_t y = 8; y < 24; ++y) {
    for (int64_t x = 8; x < 24; ++x) blue.row(y)[3 * x + 2] = 200;
  }
  EXPECT_EQ(canny(blue).pixels, canny(box(200)).pixels);
  const Image nothing(32, 40);
  EXPECT_EQ(canny(box(20)), nothing);  // too faint for the usual thresholds
  EXPECT_NE(canny(box(20), 10, 20).pixels, nothing.pixels);
  EXPECT_EQ(canny(nothing), nothing);
}

TEST(Canny, RefusesPicturesOfOtherChannels) { EXPECT_THAT(refusal(Image(8, 8, 4)), HasSubstr("3 channels, not 4")); }

#else

TEST(Canny, SaysWhatIsMissing) { EXPECT_THAT(refusal(box(200)), HasSubstr("libopencv-imgproc-dev")); }

#endif

}  // namespace
}  // namespace sumi::image
