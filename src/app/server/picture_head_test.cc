#include "app/server/picture_head.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "image/jpeg_writer.h"
#include "image/webp.h"
#include "tests/support/made_png.h"

namespace sumi::app {
namespace {

std::string png(int colour_type, const std::vector<std::pair<std::string, std::string>>& before = {}) {
  const size_t channels = colour_type == 6 ? 4 : 3;
  return test::made_png({.width = 7,
                         .height = 5,
                         .colour_type = colour_type,
                         .pixels = std::string(channels * 7 * 5, '\x40'),
                         .before = before});
}

void expect_head(const std::string& file, bool may_be_turned, bool may_be_see_through) {
  const auto head = picture_head(file);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->width, 7);
  EXPECT_EQ(head->height, 5);
  EXPECT_EQ(head->may_be_turned, may_be_turned);
  EXPECT_EQ(head->may_be_see_through, may_be_see_through);
}

TEST(PictureHead, OfPng) {
  expect_head(png(2), false, false);
  expect_head(png(6), false, true);
  expect_head(png(2, {{"tRNS", std::string(6, '\0')}}), false, true);
  expect_head(png(2, {{"eXIf", "MM"}}), true, false);
}

TEST(PictureHead, OfJpegAndWebp) {
  const image::Image image(7, 5);
  expect_head(image::encode_jpeg(image, 90), false, false);
  expect_head(image::encode_jpeg(image, 90, "a cat"), true, false);  // a segment before the frame
  expect_head(image::encode_webp(image, 90), false, false);
  expect_head(image::encode_webp(image, 90, "a cat"), true, true);  // in the extended form
  // Lossless: 14 bits for each side less one, after a mark.
  const uint32_t bits = 6 | 4 << 14;
  std::string lossless = std::string("RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f", 21);
  for (int i = 0; i < 4; ++i) lossless += static_cast<char>(bits >> (8 * i) & 0xFF);
  expect_head(lossless + std::string(8, '\0'), false, true);
}

TEST(PictureHead, OfNothingElse) {
  const image::Image image(7, 5);
  for (const std::string& file : {png(6), image::encode_jpeg(image, 90, "x"), image::encode_webp(image, 90, "x")}) {
    for (size_t size = 0; size < 20; ++size) EXPECT_FALSE(picture_head(file.substr(0, size))) << size;
  }
  EXPECT_FALSE(picture_head("GIF89a\x07\x01\x05\x01" + std::string(20, '\x01')));
  EXPECT_FALSE(picture_head("\xFF\xD8" + std::string(100, '\xFF')));
  EXPECT_FALSE(picture_head(std::string("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\x05\x08\x06\0\0\0", 29)));
}

}  // namespace
}  // namespace sumi::app
