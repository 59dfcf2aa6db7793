// AVIF and HEIC pictures that libheif itself wrote.
#include "image/heif.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/check.h"
#include "image/mask.h"
#include "image/read.h"
#include "tests/support/temp_folder.h"

#ifdef SUMI_WITH_HEIF
#include <libheif/heif.h>
#endif

#ifdef __SANITIZE_ADDRESS__
// The encoder of the test's HEIC pictures keeps some memory to its end.
extern "C" __attribute__((visibility("default"))) const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265\n"; }
#endif

namespace sumi::image {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& file, const std::string& name = "a.avif") {
  const test::TempFolder folder;
  test::write_file(folder / name, file);
  try {
    read_picture({folder / name}, name);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return error.what();
  }
  return "nothing was refused";
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string file_type(const std::string& brands) {
  const size_t size = 8 + brands.size();
  return std::string("\0\0\0", 3) + static_cast<char>(size) + "ftyp" + brands;
}

TEST(Heif, IsKnownByItsBrands) {
  EXPECT_TRUE(is_heif(bytes_of(file_type("heic" + std::string(4, '\0') + "mif1heic"))));
  EXPECT_TRUE(is_heif(bytes_of(file_type("avif" + std::string(4, '\0') + "avifmif1"))));
  EXPECT_TRUE(is_heif(bytes_of(file_type("mif1" + std::string(4, '\0') + "miafavif"))));
  EXPECT_FALSE(is_heif(bytes_of(file_type("isom" + std::string(4, '\0') + "mp42"))));  // a film
  EXPECT_FALSE(is_heif(bytes_of(file_type("isom" + std::string(4, '\0')) + "avif")));  // after the box
  EXPECT_FALSE(is_heif(bytes_of(file_type("isomheic"))));                              // a version, no brand
  EXPECT_FALSE(
      is_heif(bytes_of(std::string("\0\0\0\x14"
                                   "ftyp",
                                   8))));
  EXPECT_FALSE(is_heif({}));
  EXPECT_THAT(refusal(file_type("isom" + std::string(4, '\0') + "mp42")), HasSubstr("not a picture that sumi reads"));
}

#ifndef SUMI_WITH_HEIF

TEST(Heif, WithoutLibheifTheErrorSaysSo) {
  EXPECT_FALSE(is_picture_name("a.avif"));
  EXPECT_THAT(refusal(file_type("avif" + std::string(4, '\0') + "mif1")), HasSubstr("built without libheif"));
}

#else

void need(const heif_error& did) {
  if (did.code != heif_error_Ok) throw std::runtime_error(did.message);
}

heif_error append(heif_context*, const void* data, size_t size, void* to) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
  return {heif_error_Ok, heif_suberror_Unspecified, "fine"};
}

struct Written {
  heif_compression_format format = heif_compression_AV1;
  heif_orientation orientation = heif_orientation_normal;
  bool premultiplied = false;
};

// What `image` is encoded to, which it takes.
std::string encoded(heif_image* image, const Written& how, const char* chroma = nullptr) {
  heif_context* context = heif_context_alloc();
  heif_encoder* encoder = nullptr;
  need(heif_context_get_encoder_for_format(context, how.format, &encoder));
  need(heif_encoder_set_lossy_quality(encoder, 95));
  if (chroma != nullptr) need(heif_encoder_set_parameter_string(encoder, "chroma", chroma));
  heif_encoding_options* options = heif_encoding_options_alloc();
  options->image_orientation = how.orientation;
  need(heif_context_encode_image(context, image, encoder, options, nullptr));
  std::string file;
  heif_writer writer{1, append};
  need(heif_context_write(context, &writer, &file));
  heif_encoding_options_free(options);
  heif_encoder_release(encoder);
  heif_context_free(context);
  heif_image_release(image);
  return file;
}

// A file of `picture`, of 3 or 4 channels.
std::string written(const Image& picture, const Written& how) {
  const auto width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
  const heif_chroma chroma = picture.channels == 4 ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB;
  heif_image* image = nullptr;
  need(heif_image_create(width, height, heif_colorspace_RGB, chroma, &image));
  need(heif_image_add_plane(image, heif_channel_interleaved, width, height, 8));
  int stride = 0;
  uint8_t* rows = heif_image_get_plane(image, heif_channel_interleaved, &stride);
  for (int64_t y = 0; y < height; ++y) std::copy_n(picture.row(y), picture.width * picture.channels, rows + y * stride);
  if (how.premultiplied) heif_image_set_premultiplied_alpha(image, 1);
  return encoded(image, how);
}

// A file of 10 bits a value: gray, the red of `picture`. With half as many colours as pixels in a row, which aom's AV1
// of 10 bits needs.
std::string written_in_ten_bits(const Image& picture, const Written& how) {
  const auto width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
  heif_image* image = nullptr;
  need(heif_image_create(width, height, heif_colorspace_YCbCr, heif_chroma_422, &image));
  for (const heif_channel channel : {heif_channel_Y, heif_channel_Cb, heif_channel_Cr}) {
    const int across = channel == heif_channel_Y ? width : width / 2;
    need(heif_image_add_plane(image, channel, across, height, 10));
    int stride = 0;
    uint8_t* rows = heif_image_get_plane(image, channel, &stride);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < across; ++x) {
        const int value = channel == heif_channel_Y ? 4 * picture.row(y)[3 * x] : 512;
        rows[y * stride + 2 * x] = static_cast<uint8_t>(value & 255);
        rows[y * stride + 2 * x + 1] = static_cast<uint8_t>(value >> 8);
      }
    }
  }
  return encoded(image, how, "422");
}

// Four plain quarters, so that what a lossy coder changes at their borders stays away from their middles.
Image quarters(const std::array<std::vector<uint8_t>, 4>& colours, int64_t width = 64, int64_t height = 64) {
  Image out(width, height, static_cast<int64_t>(colours[0].size()));
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const auto& colour = colours[static_cast<size_t>((y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1))];
      std::copy(colour.begin(), colour.end(), out.row(y) + x * out.channels);
    }
  }
  return out;
}

const std::array<std::vector<uint8_t>, 4> kFour{{{200, 40, 40}, {40, 180, 60}, {50, 60, 210}, {230, 230, 230}}};

// The colours at the middles of the four quarters; within 10 of `want`, as lossy coding at quality 95 keeps plain ones.
void expect_quarters(const Image& picture, const std::array<std::vector<uint8_t>, 4>& want) {
  ASSERT_EQ(picture.channels, 3);
  for (size_t i = 0; i < 4; ++i) {
    const int64_t y = picture.height * (i < 2 ? 1 : 3) / 4, x = picture.width * (i % 2 == 0 ? 1 : 3) / 4;
    for (size_t c = 0; c < 3; ++c)
      EXPECT_NEAR(int{picture.row(y)[3 * x + static_cast<int64_t>(c)]}, int{want[i][c]}, 10) << i << " " << c;
  }
}

class HeifFiles : public testing::TestWithParam<heif_compression_format> {
 protected:
  void SetUp() override {
    if (heif_have_encoder_for_format(GetParam()) == 0) GTEST_SKIP() << "this libheif has no encoder for the kind";
    if (heif_have_decoder_for_format(GetParam()) == 0) GTEST_SKIP() << "this libheif has no decoder for the kind";
  }
  std::string ending() const { return GetParam() == heif_compression_AV1 ? ".avif" : ".heic"; }
  Image read(const std::string& file, const Colour& under = kWhite) const {
    const test::TempFolder folder;
    test::write_file(folder / ("a" + ending()), file);
    return read_picture({folder / ("a" + ending())}, {}, under);
  }
};

TEST_P(HeifFiles, AreRead) {
  EXPECT_TRUE(is_picture_name("A" + ending()));
  const Image picture = read(written(quarters(kFour, 96, 64), {.format = GetParam()}));
  EXPECT_EQ(picture.width, 96);
  EXPECT_EQ(picture.height, 64);
  expect_quarters(picture, kFour);
}

TEST_P(HeifFiles, OpacityIsOverTheBackground) {
  const Image picture = quarters({{{200, 40, 40, 255}, {40, 180, 60, 0}, {50, 60, 210, 128}, {230, 230, 230, 255}}});
  const std::string file = written(picture, {.format = GetParam()});
  expect_quarters(read(file), {{{200, 40, 40}, {255, 255, 255}, {152, 157, 232}, {230, 230, 230}}});
  expect_quarters(read(file, {0, 0, 0}), {{{200, 40, 40}, {0, 0, 0}, {25, 30, 105}, {230, 230, 230}}});
}

TEST_P(HeifFiles, OpacityMakesAMask) {
  for (const bool premultiplied : {false, true}) {
    const Image picture = quarters({{{200, 40, 40, 255}, {0, 0, 0, 0}, {50, 60, 60, 100}, {90, 90, 90, 160}}});
    const std::string file = written(picture, {.format = GetParam(), .premultiplied = premultiplied});
    const auto bytes = bytes_of(file);
    const Image mask = decode_mask({bytes.begin(), bytes.end()}, "a mask");
    EXPECT_EQ(mask.row(16)[16], 255);
    EXPECT_EQ(mask.row(16)[48], 0);
    EXPECT_EQ(mask.row(48)[16], 0);
    EXPECT_EQ(mask.row(48)[48], 255);
  }
}

TEST_P(HeifFiles, PremultipliedColoursAreNotMultipliedAgain) {
  const Image picture = quarters({{{200, 40, 40, 255}, {0, 0, 0, 0}, {100, 60, 20, 128}, {230, 230, 230, 255}}});
  const std::string file = written(picture, {.format = GetParam(), .premultiplied = true});
  expect_quarters(read(file), {{{200, 40, 40}, {255, 255, 255}, {227, 187, 147}, {230, 230, 230}}});
}

TEST_P(HeifFiles, AreTurnedOnce) {
  const Image turned =
      read(written(quarters(kFour, 96, 64), {.format = GetParam(), .orientation = heif_orientation_rotate_90_cw}));
  EXPECT_EQ(turned.width, 64);
  EXPECT_EQ(turned.height, 96);
  expect_quarters(turned, {{kFour[2], kFour[0], kFour[3], kFour[1]}});
  const Image mirrored =
      read(written(quarters(kFour), {.format = GetParam(), .orientation = heif_orientation_flip_horizontally}));
  expect_quarters(mirrored, {{kFour[1], kFour[0], kFour[3], kFour[2]}});
}

TEST_P(HeifFiles, DeeperColoursComeOutAsEightBits) {
  const std::array<std::vector<uint8_t>, 4> grays{{{40, 40, 40}, {200, 200, 200}, {128, 128, 128}, {230, 230, 230}}};
  std::string file;
  try {
    file = written_in_ten_bits(quarters(grays), {.format = GetParam()});
  } catch (const std::runtime_error& error) {
    GTEST_SKIP() << "this libheif's encoder writes no 10 bits: " << error.what();
  }
  expect_quarters(read(file), grays);
}

TEST_P(HeifFiles, CutShortOrBrokenAreRefused) {
  const std::string file = written(quarters(kFour), {.format = GetParam()});
  const std::string name = "a" + ending();
  for (const size_t size : {file.size() - 1, file.size() - 20, file.size() / 2, size_t{40}})
    EXPECT_THAT(refusal(file.substr(0, size), name),
                HasSubstr(name + " is a HEIC or AVIF picture that libheif cannot"));
  // A picture that says that it is larger than any that is read, from the box "ispe" with width and height in 4 bytes.
  std::string large = file;
  const size_t box = large.find("ispe");
  ASSERT_NE(box, std::string::npos);
  for (size_t at = box; at != std::string::npos; at = large.find("ispe", at + 4))
    large.replace(at + 8, 8, std::string("\0\0\x75\x30\0\0\x75\x30", 8));
  EXPECT_THAT(refusal(large, name), HasSubstr("30000x30000; pictures over 64 megapixels"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeifFiles, testing::Values(heif_compression_AV1, heif_compression_HEVC),
                         [](const auto& kind) { return kind.param == heif_compression_AV1 ? "Avif" : "Heic"; });

#endif

}  // namespace
}  // namespace sumi::image
