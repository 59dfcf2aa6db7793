#include "app/server/webui_controls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/server/webui_request.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/hints.h"
#include "image/png.h"
#include "tests/support/webui_fixture.h"

namespace sumi::app {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// A request with one unit.
Json units(const Json& unit, Json body = Json::object()) {
  body["alwayson_scripts"]["controlnet"]["args"] = Json::array({unit});
  return body;
}

class WebuiControlsTest : public WebuiReading {};

TEST_F(WebuiControlsTest, ControlNetUnits) {
  const Request r = text(units({{"input_image", picture()},
                                {"module", "canny"},
                                {"model", "edges [d14c016b]"},
                                {"weight", 0.5},
                                {"resize_mode", "Scale to Fit (Inner Fit)"},
                                {"guidance_start", 0.1},
                                {"guidance_end", 0.8},
                                {"pixel_perfect", true},
                                {"control_mode", "ControlNet is more important"}},
                               {{"width", 8}, {"height", 8}}));
  ASSERT_EQ(r.controls.size(), 1u);
  EXPECT_EQ(r.controls[0].model, "edges");
  EXPECT_EQ(r.controls[0].image, "data:image/png;base64," + picture());
  EXPECT_EQ(r.controls[0].weight, 0.5);
  EXPECT_EQ(r.controls[0].start, 0.1);
  EXPECT_EQ(r.controls[0].end, 0.8);
  EXPECT_EQ(r.controls[0].preprocess, "canny");
  EXPECT_TRUE(r.guess_mode);
  EXPECT_EQ(r.resize, "crop");
  EXPECT_THAT(text(units({{"enabled", false}, {"module", "depth"}})).controls, IsEmpty());
  const Request from_init = image(units({{"model", "edges"}}));  // follows the picture that it begins from
  EXPECT_EQ(from_init.controls.at(0).image, from_init.init);
  EXPECT_EQ(from_init.resize, "stretch");
  const auto refuse = [&](const Json& change) {
    Json unit{{"image", picture()}, {"model", "edges"}};
    unit.update(change);
    return refused(units(unit));
  };
  EXPECT_EQ(refuse({{"module", "none"}, {"threshold_a", 64}, {"processor_res", 64}}), "");
  EXPECT_THAT(refuse({{"module", "depth_midas"}}), HasSubstr("`module`"));
  EXPECT_THAT(refuse({{"module", "canny"}, {"threshold_a", 64}}), HasSubstr("`threshold_a`"));
  EXPECT_THAT(refuse({{"control_mode", 1}}), HasSubstr("`control_mode`"));
  EXPECT_THAT(refuse({{"mask", picture()}}), HasSubstr("`mask`"));
  EXPECT_THAT(refuse({{"model", "None"}}), HasSubstr("`model`"));
  EXPECT_THAT(refuse({{"image", "https://x"}}), HasSubstr("nothing is fetched"));
  EXPECT_THAT(refuse({{"resize_mode", 3}}), HasSubstr("`resize_mode`"));
  EXPECT_EQ(refuse({{"resize_mode", "2"}, {"control_mode", "2"}}), "");
}

TEST(WebuiControlModules, EdgesWhereTheBuildFindsThem) {
  bool finds = true;
  try {
    image::canny(Image(8, 8));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
    finds = false;
  }
  EXPECT_EQ(web_control_modules().front(), "none");
  EXPECT_EQ(web_control_modules().size(), finds ? 2u : 1u);
}

// The library finds edges before it brings a picture to the drawing's size.
TEST_F(WebuiControlsTest, EdgesAreFoundInPicturesOfTheDrawingsSize) {
  const auto refuse = [&](int64_t width, int64_t height, const Json& more) {
    return refused(units({{"image", picture(width, height)}, {"model", "edges"}, {"module", "canny"}}, more));
  };
  EXPECT_EQ(refuse(64, 32, {{"width", 64}, {"height", 32}}), "");
  EXPECT_EQ(refuse(64, 32, {{"width", 68}, {"height", 33}}), "");  // as it is drawn
  EXPECT_THAT(refuse(64, 32, {{"width", 64}, {"height", 64}}), HasSubstr("\"none\""));
  EXPECT_THAT(refuse(128, 64, {{"width", 64}, {"height", 32}}), HasSubstr("64x32"));
  EXPECT_THAT(refuse(512, 512, Json::object()), HasSubstr("`width`"));
  const Json unit{{"model", "edges"}, {"module", "canny"}};
  EXPECT_EQ(refused_image(units(unit, {{"width", 8}, {"height", 8}})), "");
  EXPECT_THAT(refused_image(units(unit, {{"width", 64}, {"height", 64}})), HasSubstr("`module`"));
}

TEST_F(WebuiControlsTest, ControlNetFollowsTheWholePicture) {
  const Json unit{{"model", "edges"}, {"image", picture()}};
  EXPECT_THAT(refused_image(units(unit, {{"mask", picture()}})), HasSubstr("`inpaint_full_res`"));
  EXPECT_EQ(refused_image(units(unit, {{"mask", picture()}, {"inpaint_full_res", false}})), "");
  EXPECT_EQ(refused_image(units({{"enabled", false}}, {{"mask", picture()}})), "");
}

// Units are cropped to the size unless they say otherwise; it matters for pictures of other proportions alone.
TEST_F(WebuiControlsTest, OneWayToBringPicturesToTheSize) {
  const Json wide{{"model", "edges"}, {"image", picture(16, 8)}}, square{{"model", "edges"}, {"image", picture()}};
  const auto with = [](Json unit, const Json& mode) {
    unit["resize_mode"] = mode;
    return unit;
  };
  const auto several = [](const Json& list) { return Json{{"alwayson_scripts", {{"controlnet", {{"args", list}}}}}}; };
  EXPECT_EQ(text(units(wide)).resize, "crop");
  EXPECT_EQ(text(units(with(wide, 0))).resize, "stretch");
  EXPECT_EQ(text(several(Json::array({square, with(wide, 2)}))).resize, "fill");
  EXPECT_EQ(text(several(Json::array({with(wide, 2), square}))).resize, "fill");
  EXPECT_THAT(refused(several(Json::array({wide, with(wide, 0)}))), HasSubstr("`resize_mode`"));
  EXPECT_EQ(image(units(wide)).resize, "crop");  // the picture that it begins from is square as the drawing is
  EXPECT_EQ(image(units(square)).resize, "stretch");
  const Json init{{"init_images", {picture(8, 16)}}};
  EXPECT_EQ(image(units(square, init)).resize, "stretch");
  EXPECT_EQ(image(units({{"model", "edges"}}, init)).resize, "stretch");
  EXPECT_EQ(image(units(with(wide, "Just Resize"), init)).resize, "stretch");
  EXPECT_THAT(refused_image(units(wide, init)), HasSubstr("the request's `resize_mode`"));
}

}  // namespace
}  // namespace sumi::app
