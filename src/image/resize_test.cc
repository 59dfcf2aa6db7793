#include "image/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "base/fnv1a.h"
#include "image/png.h"
#include "tests/support/mini_safetensors.h"
#include "tests/support/rejected.h"

namespace sumi::image {
namespace {

const std::string kVectors = std::string(SUMI_TEST_DATA) + "/resample.safetensors";

std::string digest(const Image& image) {
  Fnv1a hash;
  hash.add({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
  return hash.hex();
}

Image vector_picture(const std::string& name, int64_t width, int64_t height, int64_t channels) {
  Image out(width, height, channels);
  out.pixels = test::read_tensor<uint8_t>(kVectors, name);
  return out;
}

const std::vector<std::string> kNames{"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};

TEST(Resize, EqualsPil) {
  const Image rgb = vector_picture("pillow_rgb", 37, 29, 3), gray = vector_picture("pillow_gray", 37, 29, 1);
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{48, 64}, {29, 50}, {13, 17}, {11, 37}, {40, 9}}) {
    for (const std::string& name : kNames) {
      const std::string vector = fmt::format("pillow_{}_{}x{}", name, h, w);
      EXPECT_EQ(resize(rgb, w, h, filter_of(name)), vector_picture(vector, w, h, 3)) << vector;
    }
    const std::string vector = fmt::format("pillow_lanczos_gray_{}x{}", h, w);
    EXPECT_EQ(resize(gray, w, h, Filter::kLanczos), vector_picture(vector, w, h, 1)) << vector;
  }
}

// PIL adds the ratio up: 0.5 * 2/7 and three times 2/7 is a little less than 1, where 3.5 * 2/7 would be 1.
TEST(Resize, NearestAddsTheRatioUpAsPilDoes) {
  Image row(2, 1, 1);
  row.pixels = {10, 20};
  EXPECT_EQ(resize(row, 7, 1, Filter::kNearest).pixels, (std::vector<uint8_t>{10, 10, 10, 10, 20, 20, 20}));
}

TEST(Resize, ChannelsAreFilteredEachByItself) {
  const Image rgb = vector_picture("pillow_rgb", 37, 29, 3);
  Image four(37, 29, 4);
  for (size_t i = 0; i < rgb.pixels.size() / 3; ++i) {
    std::copy_n(rgb.pixels.data() + 3 * i, 3, four.pixels.data() + 4 * i);
    four.pixels[4 * i + 3] = rgb.pixels[3 * i + 1];
  }
  const Image want = resize(rgb, 20, 50, Filter::kHamming), got = resize(four, 20, 50, Filter::kHamming);
  for (size_t i = 0; i < want.pixels.size() / 3; ++i) {
    for (size_t c = 0; c < 3; ++c) ASSERT_EQ(got.pixels[4 * i + c], want.pixels[3 * i + c]);
    ASSERT_EQ(got.pixels[4 * i + 3], want.pixels[3 * i + 1]);
  }
}

TEST(Resize, NamesOfFilters) {
  EXPECT_EQ(filter_of("Lanczos"), Filter::kLanczos);
  EXPECT_EQ(find_filter("sinc"), std::nullopt);
  EXPECT_THROW(filter_of(""), Error);
  std::istringstream names{std::string(kFilterNames)};
  for (std::string name; std::getline(names >> std::ws, name, ',');) EXPECT_TRUE(find_filter(name)) << name;
  EXPECT_EQ(fit_of("fill"), Fit::kFill);
  EXPECT_THROW(fit_of("cover"), Error);
}

TEST(Resize, EmptySizesAreRefused) {
  EXPECT_THROW(resize(Image(4, 4), 0, 4), Error);
  EXPECT_THROW(resize(Image(0, 4), 4, 4), Error);
  EXPECT_THROW(resize_to_fit(Image(4, 4), 4, -1, Fit::kFill), Error);
  EXPECT_THROW(resize_to_fit(Image(5000, 1), 64, 64, Fit::kFill), Error);  // 64 x 0
}

// Hashes of what PIL makes of the picture by the steps of the web UI's resize modes.
TEST(ResizeToFit, EqualsTheWebUi) {
  const Image picture = read_png(std::string(SUMI_TEST_DATA) + "/img2img_tiny_init_a.png").image;  // 192 x 128
  const auto made = [&](int64_t w, int64_t h, const char* how) {
    const Image out = resize_to_fit(picture, w, h, fit_of(how));
    EXPECT_EQ(out.width, w);
    EXPECT_EQ(out.height, h);
    return digest(out);
  };
  EXPECT_EQ(made(100, 100, "stretch"), "9c8bfb78b44c2c37");
  EXPECT_EQ(made(100, 100, "crop"), "c5ab9af3051848e6");
  EXPECT_EQ(made(100, 100, "fill"), "9203717903dab093");
  EXPECT_EQ(made(256, 64, "stretch"), "9682869934f8c898");
  EXPECT_EQ(made(256, 64, "crop"), "4998ea4d37d6a0b8");
  EXPECT_EQ(made(256, 64, "fill"), "aa03b18a789ba083");
  EXPECT_EQ(resize_to_fit(picture, 192, 128, Fit::kCrop), picture);
}

// A part is computed by itself: the same bytes as cut out of the whole.
TEST(ResizeToFit, CroppingEqualsAPartOfTheWhole) {
  const Image rgb = vector_picture("pillow_rgb", 37, 29, 3), gray = vector_picture("pillow_gray", 37, 29, 1);
  for (const auto& [w, h] : {std::pair<int64_t, int64_t>{64, 64},
                             {64, 48},
                             {50, 29},
                             {37, 80},
                             {17, 13},
                             {11, 37},
                             {40, 9},
                             {9, 40},
                             {200, 31},
                             {1, 1},
                             {37, 28},
                             {5, 29},
                             {300, 3},
                             {3, 301}}) {
    for (const std::string& name : kNames) {
      for (const Image& picture : {rgb, gray}) {
        const Filter filter = filter_of(name);
        const bool wider = 37 * h > w * 29;
        const int64_t width = wider ? 37 * h / 29 : w, height = wider ? h : 29 * w / 37;
        const Image whole = resize(picture, width, height, filter);
        EXPECT_EQ(resize_to_fit(picture, w, h, Fit::kCrop, filter),
                  crop(whole, width / 2 - w / 2, height / 2 - h / 2, w, h))
            << name << " " << w << "x" << h;
        const double scale = std::max(static_cast<double>(w) / 37.0, static_cast<double>(h) / 29.0);
        const Image large = resize(picture, std::max<int64_t>(w, std::lround(scale * 37.0)),
                                   std::max<int64_t>(h, std::lround(scale * 29.0)), filter);
        EXPECT_EQ(resize_to_cover(picture, w, h, filter),
                  crop(large, (large.width - w) / 2, (large.height - h) / 2, w, h))
            << name << " " << w << "x" << h;
      }
    }
  }
}

// Whole, these would have 64 x 12,800,000 pixels.
TEST(ResizeToFit, CroppingALongAndNarrowPictureTakesLittle) {
  for (const auto& [w, h] : {std::pair<int64_t, int64_t>{1, 200'000}, {200'000, 1}}) {
    Image line(w, h);
    std::fill(line.pixels.begin(), line.pixels.end(), 77);
    for (const Filter filter : {Filter::kNearest, Filter::kLanczos}) {
      std::ofstream("/proc/self/clear_refs") << "5";  // resets the peak, if the system allows it
      const int64_t resident = test::status_kb("VmRSS");
      for (const Image& out :
           {resize_to_fit(line, 64, 64, Fit::kCrop, filter), resize_to_cover(line, 64, 64, filter)}) {
        EXPECT_EQ(out.pixels, std::vector<uint8_t>(size_t{64} * 64 * 3, 77));
      }
      if (!test::kSanitized) {
        EXPECT_LT(test::status_kb("VmHWM") - resident, 64 << 10);
      }
    }
  }
}

TEST(ResizeToFit, FillingReachesEveryEdge) {
  Image white(10, 10, 1);
  std::fill(white.pixels.begin(), white.pixels.end(), 255);
  for (const auto& [w, h] : {std::pair<int64_t, int64_t>{10, 17}, {23, 10}, {9, 64}, {1, 2}}) {
    const Image out = resize_to_fit(white, w, h, Fit::kFill);
    for (const uint8_t pixel : out.pixels) ASSERT_EQ(pixel, 255) << w << "x" << h;
  }
}

}  // namespace
}  // namespace sumi::image
