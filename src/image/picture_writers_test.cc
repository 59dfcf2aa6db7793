// JPEG and WebP as they are written: what they hold is read back by the readers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "image/file_texts.h"
#include "image/jpeg_writer.h"
#include "image/read.h"
#include "image/webp.h"

namespace sumi::image {
namespace {

using testing::ElementsAre;
using testing::Pair;

Image gradient(int64_t width, int64_t height) {
  Image image(width, height);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* pixel = image.row(y) + 3 * x;
      pixel[0] = static_cast<uint8_t>(255 * x / width);
      pixel[1] = static_cast<uint8_t>(255 * y / height);
      pixel[2] = 90;
    }
  }
  return image;
}

std::vector<std::byte> bytes_of(const std::string& file) {
  const auto bytes = std::as_bytes(std::span(file));
  return {bytes.begin(), bytes.end()};
}

double mean_difference(const Image& a, const Image& b) {
  if (a.pixels.size() != b.pixels.size()) return 255.0;
  double sum = 0.0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

using Encode = std::string (*)(const Image&, int, std::string_view);
struct Format {
  const char* name;
  Encode encode;
  int64_t most_side;
};

class PictureWriters : public testing::TestWithParam<Format> {};

TEST_P(PictureWriters, HoldThePicture) {
  for (const auto& [width, height] : std::vector<std::pair<int64_t, int64_t>>{{64, 40}, {1, 1}, {33, 17}}) {
    const Image image = gradient(width, height);
    const Image read = decode_picture(bytes_of(GetParam().encode(image, 100, "")), "it");
    ASSERT_EQ(read.width, width);
    ASSERT_EQ(read.height, height);
    EXPECT_EQ(read.channels, 3);
    EXPECT_LT(mean_difference(image, read), 6.0);  // colours have half the resolution
  }
  const Image image = gradient(256, 256);
  const std::string good = GetParam().encode(image, 100, ""), small = GetParam().encode(image, 10, "");
  EXPECT_LT(small.size(), good.size());
  EXPECT_LT(mean_difference(image, decode_picture(bytes_of(good), "it")),
            mean_difference(image, decode_picture(bytes_of(small), "it")));
  EXPECT_EQ(good, GetParam().encode(image, 100, ""));
}

TEST_P(PictureWriters, HoldTheSettings) {
  const std::string parameters = "ein Bär, 熊 🐻\nSteps: 20, Sampler: Euler, CFG scale: 7.5, Seed: 1";
  const Image image = gradient(32, 24);
  for (const std::string& text : {parameters, std::string("x")}) {
    const std::string file = GetParam().encode(image, 90, text);
    EXPECT_THAT(read_texts(bytes_of(file), "it"), ElementsAre(Pair("parameters", text)));
    EXPECT_EQ(decode_picture(bytes_of(file), "it"), decode_picture(bytes_of(GetParam().encode(image, 90, "")), "it"));
  }
  EXPECT_TRUE(read_texts(bytes_of(GetParam().encode(image, 90, "")), "it").empty());
  EXPECT_THAT(read_texts(bytes_of(GetParam().encode(image, 90, "\xff.")), "it"),
              ElementsAre(Pair("parameters", "\xEF\xBF\xBD.")));
}

TEST_P(PictureWriters, RefuseWhatTheyCannotHold) {
  const auto refused = [](const Image& image, int quality) {
    EXPECT_THROW(GetParam().encode(image, quality, ""), Error) << image.width << " " << quality;
  };
  refused(Image(4, 4, 4), 90);
  refused(Image(0, 4), 90);
  refused(gradient(4, 4), -1);
  refused(gradient(4, 4), 101);
  refused(Image(GetParam().most_side + 1, 1), 90);
  EXPECT_FALSE(GetParam().encode(Image(GetParam().most_side, 1), 90, "").empty());
}

INSTANTIATE_TEST_SUITE_P(Formats, PictureWriters,
                         testing::Values(Format{"jpeg", encode_jpeg, kMostJpegSide},
                                         Format{"webp", encode_webp, kMostWebpSide}),
                         [](const auto& format) { return std::string(format.param.name); });

// Files of many lengths, within the memory that was first taken for them and far beyond.
TEST(JpegWriter, EndsWithTheEndMark) {
  for (int64_t side = 8; side <= 1200; side += side < 200 ? 8 : 200) {
    Image noise(side, side);
    uint32_t state = 1;
    for (uint8_t& value : noise.pixels) value = static_cast<uint8_t>((state = 1664525 * state + 1013904223) >> 24);
    const std::string file = encode_jpeg(noise, 100, "x");
    EXPECT_TRUE(file.starts_with("\xFF\xD8") && file.ends_with("\xFF\xD9")) << side;
    EXPECT_EQ(decode_picture(bytes_of(file), "it").width, side);
  }
}

// A segment has 64 KB; the picture is there all the same.
TEST(JpegWriter, LeavesOutSettingsThatDoNotFit) {
  const Image image = gradient(16, 16);
  EXPECT_THAT(read_texts(bytes_of(encode_jpeg(image, 90, std::string(32'000, 'a'))), "it"),
              ElementsAre(Pair("parameters", std::string(32'000, 'a'))));
  EXPECT_TRUE(read_texts(bytes_of(encode_jpeg(image, 90, std::string(40'000, 'a'))), "it").empty());
  EXPECT_THAT(read_texts(bytes_of(encode_webp(image, 90, std::string(40'000, 'a'))), "it"),
              ElementsAre(Pair("parameters", std::string(40'000, 'a'))));
}

}  // namespace
}  // namespace sumi::image
