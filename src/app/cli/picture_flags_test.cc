#include "app/cli/picture_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi::app {
namespace {

void expect_control(const std::string& text, const Control& want) {
  const Control got = parse_control(text);
  EXPECT_EQ(got.model, want.model) << text;
  EXPECT_EQ(got.image, want.image) << text;
  EXPECT_EQ(got.weight, want.weight) << text;
  EXPECT_EQ(got.start, want.start) << text;
  EXPECT_EQ(got.end, want.end) << text;
}

TEST(ParseControl, TakesUpToThreeNumbers) {
  expect_control("canny.pth:room.jpg", {.model = "canny.pth", .image = "room.jpg"});
  expect_control("canny.pth:room.jpg:0.6", {.model = "canny.pth", .image = "room.jpg", .weight = 0.6});
  expect_control("canny.pth:room.jpg:0.6:0:0.5",
                 {.model = "canny.pth", .image = "room.jpg", .weight = 0.6, .start = 0, .end = 0.5});
  expect_control("canny.pth:room.jpg:1:0.25", {.model = "canny.pth", .image = "room.jpg", .weight = 1, .start = 0.25});
}

TEST(ParseControl, PathsMayHaveColons) {
  const test::TempFolder folder;
  test::write_file(folder.path() / "a:b.pth", "");
  const std::string model = (folder.path() / "a:b.pth").string();
  expect_control(model + ":c:d.png:2", {.model = model, .image = "c:d.png", .weight = 2});
}

TEST(ParseControl, RefusesWhatIsMissing) {
  for (const char* text : {"canny.pth", ":room.jpg", "canny.pth:", "canny.pth:0.5", ""})
    EXPECT_THROW(parse_control(text), Error) << text;
}

TEST(PictureFlags, ExtendTakesFourNumbersOrOne) {
  Request request;
  apply_picture_flags({.init = "a.png", .extend = "1,2,3,4"}, request);
  EXPECT_THAT(request.extend, testing::ElementsAre(1, 2, 3, 4));
  apply_picture_flags({.init = "a.png", .extend = "8"}, request);
  EXPECT_THAT(request.extend, testing::ElementsAre(8, 8, 8, 8));
  for (const char* text : {"1,2", "1,2,3,4,5", "a", "", "1,,2,3", "1.5"})
    EXPECT_THROW(apply_picture_flags({.init = "a.png", .extend = text}, request), Error) << text;
}

TEST(PictureFlags, WhatIsOffIsNotAsked) {
  Request request;
  apply_picture_flags({.safety_checker = "off", .watermark = "off"}, request);
  EXPECT_EQ(request.safety_checker, "");
  EXPECT_EQ(request.watermark, "");
}

}  // namespace
}  // namespace sumi::app
