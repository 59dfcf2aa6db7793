#include "image/mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <webp/encode.h>

#include "base/check.h"
#include "base/fnv1a.h"
#include "image/png.h"
#include "image/resize.h"
#include "tests/support/made_png.h"
#include "tests/support/mini_safetensors.h"
#include "tests/support/temp_folder.h"

namespace sumi::image {
namespace {

std::string data(const std::string& name) { return std::string(SUMI_TEST_DATA) + "/" + name; }

Image mask_like(int64_t width, int64_t height, const std::vector<Box>& white) {
  Image out(width, height, 1);
  for (const Box& box : white)
    for (int64_t y = 0; y < box.height; ++y)
      std::fill_n(out.row(box.top + y) + box.left, box.width, static_cast<uint8_t>(255));
  return out;
}

std::vector<std::byte> as_bytes(const std::string& text) {
  const auto span = std::as_bytes(std::span(text));
  return {span.begin(), span.end()};
}

TEST(Mask, OfAPictureIsItsBrightness) {
  Fnv1a hash;  // of the bytes of PIL's convert("L")
  const Image gray = mask_of(read_png(data("img2img_tiny_init_a.png")).image);
  hash.add({reinterpret_cast<const char*>(gray.pixels.data()), gray.pixels.size()});
  EXPECT_EQ(hash.hex(), "69c6b53b98caa8a7");
}

// Red, and green that is see-through to 0, 128 and 129 of 255.
TEST(Mask, OfAnOpacityIsWhereItIsHigh) {
  const std::string rgba("\xFF\0\0\xFF\0\xFF\0\0\0\xFF\0\x80\0\xFF\0\x81", 16);
  const Image mask = decode_mask(as_bytes(test::made_png({.width = 4, .pixels = rgba})), "a mask");
  EXPECT_EQ(mask.channels, 1);
  EXPECT_THAT(mask.pixels, testing::ElementsAre(255, 0, 0, 255));
  // Opaque everywhere: by brightness.
  const std::string opaque("\xFF\0\0\xFF\0\xFF\0\xFF", 8);
  EXPECT_THAT(decode_mask(as_bytes(test::made_png({.width = 2, .pixels = opaque})), "a mask").pixels,
              testing::ElementsAre(76, 150));
  // A palette with a see-through colour; gray with opacity.
  EXPECT_THAT(decode_mask(as_bytes(test::made_png({.width = 2,
                                                   .colour_type = 3,
                                                   .pixels = std::string("\0\1", 2),
                                                   .before = {{"PLTE", std::string("\xFF\0\0\0\xFF\0", 6)},
                                                              {"tRNS", std::string(1, '\0')}}})),
                          "a mask")
                  .pixels,
              testing::ElementsAre(0, 255));
  EXPECT_THAT(
      decode_mask(as_bytes(test::made_png({.width = 2, .colour_type = 4, .pixels = std::string("\x40\xFF\xFF\0", 4)})),
                  "a mask")
          .pixels,
      testing::ElementsAre(255, 0));
}

TEST(Mask, OpacityOfOtherFiles) {
  const std::vector<uint8_t> values{255, 0, 0, 255, 0, 255, 0, 0};
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeLosslessRGBA(values.data(), 2, 1, 8, &out);
  const std::string webp(reinterpret_cast<char*>(out), size);
  WebPFree(out);
  EXPECT_THAT(decode_mask(as_bytes(webp), "a mask").pixels, testing::ElementsAre(255, 0));
  // A bitmap with a mask for its opacity.
  const auto little = [](uint64_t value, int width) {
    const std::string big = test::big_endian(value, width);
    return std::string(big.rbegin(), big.rend());
  };
  const std::string header = little(56, 4) + little(2, 4) + little(1, 4) + little(1, 2) + little(32, 2) + little(3, 4) +
                             std::string(20, '\0') + little(0xFF0000, 4) + little(0xFF00, 4) + little(0xFF, 4) +
                             little(0xFF000000, 4);
  const std::string pixels("\0\0\xFF\0\0\0\xFF\xFF", 8);
  const std::string bmp = "BM" + little(14 + 56 + 8, 4) + std::string(4, '\0') + little(14 + 56, 4) + header + pixels;
  EXPECT_THAT(decode_mask(as_bytes(bmp), "a mask").pixels, testing::ElementsAre(0, 255));
}

TEST(Mask, IsTurnedUpright) {
  const std::string exif("MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", 26);
  const std::string rgba("\xFF\0\0\xFF\0\xFF\0\0", 8);  // two pixels beside one another
  const Image mask =
      decode_mask(as_bytes(test::made_png({.width = 2, .pixels = rgba, .before = {{"eXIf", exif}}})), "a mask");
  EXPECT_EQ(mask.width, 1);
  EXPECT_EQ(mask.height, 2);
  EXPECT_THAT(mask.pixels, testing::ElementsAre(255, 0));
}

TEST(Mask, WhatIsNoPictureIsRefused) {
  const test::TempFolder folder;
  test::write_file(folder / "mask.png", "text");
  EXPECT_THROW(read_mask({folder / "mask.png"}), Error);
  EXPECT_THROW(read_mask({folder / "absent.png"}), Error);
  EXPECT_THROW(decode_mask({}, "a mask"), Error);
}

TEST(Mask, InvertedTwiceIsItself) {
  const Image mask = mask_like(5, 4, {{1, 1, 2, 2}});
  EXPECT_EQ(inverted(mask).pixels[0], 255);
  EXPECT_EQ(inverted(inverted(mask)), mask);
}

// The file holds what the web UI lays over the result: twice the softened mask, at most 255.
TEST(Soften, EqualsOpenCvs) {
  const Image soft = soften(read_mask({data("inpaint_blend_tiny_mask.png")}), 4.0);
  const Image want = mask_of(read_png(data("inpaint_blend_tiny_a1111_blurred_mask.png")).image);
  ASSERT_EQ(soft.pixels.size(), want.pixels.size());
  for (size_t i = 0; i < want.pixels.size(); ++i) ASSERT_EQ(std::min(255, 2 * soft.pixels[i]), want.pixels[i]) << i;
}

TEST(Soften, KeepsWhatIsFlatAndSmall) {
  Image white(3, 2, 1);
  std::fill(white.pixels.begin(), white.pixels.end(), 255);
  for (const double sigma : {0.0, 0.3, 4.0, 64.0, 256.0}) EXPECT_EQ(soften(white, sigma), white) << sigma;
  EXPECT_EQ(soften(Image(1, 1, 1), 4.0), Image(1, 1, 1));
  EXPECT_THROW(soften(white, 257.0), Error);
}

TEST(Mask, BoxAroundWhatIsWhite) {
  EXPECT_EQ(box_of(Image(7, 5, 1)), std::nullopt);
  EXPECT_EQ(box_of(mask_like(20, 10, {{3, 2, 4, 1}, {9, 5, 1, 3}})), (Box{3, 2, 7, 6}));
  EXPECT_EQ(box_of(mask_like(4, 3, {{0, 0, 4, 3}})), (Box{0, 0, 4, 3}));
}

TEST(Region, GrowsToTheShapeOfTheDrawing) {
  const auto region = [](const Box& box, int64_t padding, int64_t width, int64_t height) {
    return region_around(box, {padding, width, height, 200, 100});
  };
  EXPECT_EQ(region({50, 40, 20, 10}, 0, 64, 64), (Box{50, 35, 20, 20}));    // half to both sides
  EXPECT_EQ(region({50, 40, 20, 10}, 8, 64, 64), (Box{42, 27, 36, 36}));    // after the padding
  EXPECT_EQ(region({50, 40, 11, 20}, 0, 64, 64), (Box{46, 40, 20, 20}));    // the odd pixel to the end
  EXPECT_EQ(region({0, 0, 40, 10}, 0, 64, 64), (Box{0, 0, 40, 40}));        // moved into the picture
  EXPECT_EQ(region({20, 90, 40, 10}, 4, 64, 64), (Box{16, 52, 48, 48}));    // padding is cut at the border
  EXPECT_EQ(region({0, 0, 200, 10}, 0, 64, 64), (Box{0, 0, 200, 100}));     // it does not fit
  EXPECT_EQ(region({180, 0, 10, 100}, 0, 128, 64), (Box{0, 0, 200, 100}));  // exactly the whole
}

TEST(ShrinkMask, EqualsTheWebUisAndTheOriginals) {
  const std::string vectors = data("inpaint_blend_tiny.safetensors");
  const auto vector = [&](const std::string& name) { return test::read_tensor<float>(vectors, name); };
  const Image mask = read_mask({data("inpaint_blend_tiny_mask.png")}), soft = soften(mask, 4.0);
  EXPECT_EQ(shrink_mask(soft, 24, 16, MaskShrink::kRounded), vector("a1111_original_nmask"));
  std::vector<float> kept = vector("compvis_keep");
  for (float& value : kept) value = 1.0f - value;
  EXPECT_EQ(shrink_mask(mask, 24, 16, MaskShrink::kNearest), kept);
  // Only the masked region, drawn at 128 x 128.
  const Box region = region_around(*box_of(soft), {8, 128, 128, mask.width, mask.height});
  EXPECT_EQ(region, (Box{19, 0, 152, 128}));
  const Image part =
      resize_to_fit(crop(soft, region.left, region.top, region.width, region.height), 128, 128, Fit::kFill);
  EXPECT_EQ(shrink_mask(part, 16, 16, MaskShrink::kRounded), vector("a1111_original_onlymasked_nmask"));
}

}  // namespace
}  // namespace sumi::image
