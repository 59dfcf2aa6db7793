#include "image/read.h"

#include <gtest/gtest.h>
#include <webp/encode.h>

#include "base/check.h"
#include "image/jpeg.h"
#include "image/png.h"
#include "image/resize.h"
#include "tests/support/made_jpeg.h"
#include "tests/support/temp_folder.h"

namespace sumi::image {
namespace {

// A quadrant each of red, green, blue and white.
Image quadrants(int64_t width, int64_t height) {
  Image out(width, height);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const bool right = x >= width / 2, low = y >= height / 2;
      uint8_t* p = out.row(y) + 3 * x;
      p[0] = right == low ? 250 : 5;
      p[1] = right ? 250 : 5;
      p[2] = low ? 250 : 5;
    }
  }
  return out;
}

std::string as_jpeg(const Image& image, int orientation = 0) {
  const auto choose = [](jpeg_compress_struct& jpeg) {
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;  // colours at full resolution
  };
  const auto begun = [&](jpeg_compress_struct& jpeg) {
    if (orientation == 0) return;
    const unsigned char exif[] = {
        'E', 'x', 'i', 'f', 0,    0, 'M', 'M', 0, 42, 0, 0, 0,
        8,   0,   1,   1,   0x12, 0, 3,   0,   0, 0,  1, 0, static_cast<unsigned char>(orientation),
        0,   0,   0,   0,   0,    0};
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof(exif));
  };
  return test::made_jpeg({.width = image.width,
                          .height = image.height,
                          .row = [&](int64_t y) { return image.row(y); },
                          .choose = choose,
                          .begun = begun});
}

std::string as_webp(const Image& image) {
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeLosslessRGB(image.pixels.data(), static_cast<int>(image.width),
                                            static_cast<int>(image.height), static_cast<int>(3 * image.width), &out);
  std::string bytes(reinterpret_cast<char*>(out), size);
  WebPFree(out);
  return bytes;
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  int largest = 0;
  for (size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  return largest;
}

class ReadPicture : public testing::Test {
 protected:
  Image read(const std::string& bytes) {
    test::write_file(folder_ / "picture", bytes);
    return read_picture({folder_ / "picture"});
  }
  test::TempFolder folder_;
};

TEST_F(ReadPicture, ToldByItsFirstBytes) {
  const Image picture = quadrants(32, 48);
  EXPECT_LE(largest_difference(read(as_jpeg(picture)), picture), 12);
  EXPECT_EQ(read(as_webp(picture)), picture);
  const std::vector<std::byte> png = encode_png(picture);
  EXPECT_EQ(read(std::string(reinterpret_cast<const char*>(png.data()), png.size())), picture);
}

TEST_F(ReadPicture, BrokenOnesAreRefusedInOneSentence) {
  const std::string jpeg = as_jpeg(quadrants(32, 32)), webp = as_webp(quadrants(32, 32));
  for (const std::string& bytes :
       {std::string(), std::string("text"), jpeg.substr(0, 2), jpeg.substr(0, 100), jpeg.substr(0, jpeg.size() - 40),
        webp.substr(0, 12), webp.substr(0, webp.size() - 8)}) {
    try {
      read(bytes);
      ADD_FAILURE() << bytes.size() << " bytes were read";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_THROW(read_picture({folder_ / "nothing"}), Error);
  EXPECT_THROW(read_picture({folder_.path()}), Error);
}

TEST_F(ReadPicture, JpegsAreTurnedAsTheirCameraSays) {
  const Image picture = quadrants(32, 48);
  const auto corner = [](const Image& image, bool right, bool low) {
    const uint8_t* p = image.row(low ? image.height - 4 : 4) + 3 * (right ? image.width - 4 : 4);
    return std::array<bool, 3>{p[0] > 128, p[1] > 128, p[2] > 128};
  };
  // What the top left corner of the picture as looked at is in the file, by orientation.
  const std::pair<bool, bool> top_left[] = {{false, false}, {true, false}, {true, true}, {false, true},
                                            {false, false}, {false, true}, {true, true}, {true, false}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image turned = read(as_jpeg(picture, orientation));
    EXPECT_EQ(turned.width, orientation >= 5 ? 48 : 32) << orientation;
    const auto [right, low] = top_left[orientation - 1];
    EXPECT_EQ(corner(turned, false, false), corner(picture, right, low)) << orientation;
  }
}

TEST(Resize, KeepsWhatIsFlatAndTheSizeAskedFor) {
  Image gray(37, 23);
  std::fill(gray.pixels.begin(), gray.pixels.end(), 77);
  for (const Filter filter : {Filter::kBicubic, Filter::kLanczos}) {
    for (const auto& [w, h] : {std::pair<int64_t, int64_t>{5, 9}, {37, 23}, {100, 61}, {1, 1}}) {
      const Image out = resize(gray, w, h, filter);
      EXPECT_EQ(out.width, w);
      EXPECT_EQ(out.height, h);
      for (const uint8_t value : out.pixels) ASSERT_EQ(value, 77);
    }
  }
}

TEST(Resize, HalvesWithTheWeightsOfTheFilter) {
  // A row of one bright pixel: bicubic, halved, reaches four pixels of the input to each side.
  Image row(16, 1, 1);
  row.pixels[8] = 200;
  const Image half = resize(row, 8, 1);
  // Weights of the input at distance 0.25, 0.75, 1.25 and 1.75 (in output pixels), from the cubic itself, summing to 1.
  const auto cubic = [](double x) {
    return x < 1 ? 1.5 * x * x * x - 2.5 * x * x + 1 : -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
  };
  const double sum = 2 * (cubic(0.25) + cubic(0.75) + cubic(1.25) + cubic(1.75));
  EXPECT_EQ(half.pixels[4], static_cast<int>(std::floor(200 * cubic(0.25) / sum + 0.5)));
  EXPECT_EQ(half.pixels[3], static_cast<int>(std::floor(200 * cubic(0.75) / sum + 0.5)));
  EXPECT_EQ(half.pixels[0], 0);
}

TEST(Resize, CoversAndCutsOutTheMiddle) {
  const Image picture = quadrants(64, 32);
  const Image square = resize_to_cover(picture, 16, 16);
  EXPECT_EQ(square.width, 16);
  EXPECT_EQ(square.height, 16);
  EXPECT_EQ(mirrored(mirrored(picture)), picture);
  EXPECT_EQ(crop(picture, 0, 0, 64, 32), picture);
  EXPECT_EQ(mirrored(picture).row(0)[0], picture.row(0)[3 * 63]);
}

}  // namespace
}  // namespace sumi::image
