#include "image/watermark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/parallel.h"
#include "image/png.h"
#include "tests/support/mini_safetensors.h"

namespace sumi::image {
namespace {

std::string data(const std::string& name) { return std::string(SUMI_TEST_DATA) + "/" + name; }

Bits vector_bits(const std::string& name) {
  const auto values = test::read_tensor<int64_t>(data("watermark.safetensors"), name);
  return {values.begin(), values.end()};
}

std::string digest(const Image& image) {
  Fnv1a hash;
  hash.add({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
  return hash.hex();
}

// The hashes of this file are of the pictures that the package and diffusers made.
class MarkedPictures : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(MarkedPictures, EqualThePackages) {
  const auto& [number, hash] = GetParam();
  const std::string k = number;
  const Bits bits = watermark_bits(kWatermarkText);
  ASSERT_EQ(bits, vector_bits("bits"));
  const Image before = read_png(data("watermark_in" + k + ".png")).image;
  EXPECT_EQ(decode_watermark(before, bits.size()), vector_bits("decoded_unmarked" + k));
  Image marked = before;
  embed_watermark(marked, bits);
  EXPECT_EQ(digest(marked), hash);
  EXPECT_EQ(decode_watermark(marked, bits.size()), vector_bits("decoded" + k));
}

// The second is saturated, of odd size, and loses bits.
INSTANTIATE_TEST_SUITE_P(Watermark, MarkedPictures,
                         testing::Values(std::pair("0", "f662c856c5e3bf00"), std::pair("1", "5620cac73d4f046f")));

TEST(Watermark, IsTheTextAndIsFoundInEveryPicture) {
  const Bits bits = watermark_bits(kWatermarkText);
  EXPECT_EQ(text_of(bits), kWatermarkText);
  for (const char* k : {"0", "1"}) {
    Image picture = read_png(data(std::string("watermark_in") + k + ".png")).image;
    EXPECT_LT(agreeing_bits(decode_watermark(picture, bits.size()), bits), convincing_bits(136));
    embed_watermark(picture, bits);
    EXPECT_GE(agreeing_bits(decode_watermark(picture, bits.size()), bits), convincing_bits(136));
  }
}

TEST(Watermark, TheNumberOfThreadsChangesNoByte) {
  ThreadPool one(1), three(3);
  const auto made = [](ThreadPool& pool) {
    const PoolScope scope(&pool);
    Image picture = read_png(data("watermark_in1.png")).image;
    embed_watermark(picture, watermark_bits("another text"));
    return picture;
  };
  EXPECT_EQ(made(one), made(three));
}

TEST(Watermark, RefusesWhatCarriesNone) {
  Image small(255, 256);
  EXPECT_THROW(embed_watermark(small, watermark_bits(kWatermarkText)), Error);
  EXPECT_THROW(decode_watermark(small, 136), Error);
  EXPECT_THROW(watermark_bits("ab"), Error);
  EXPECT_THROW(watermark_bits(std::string(129, 'a')), Error);
  Image narrow(8192, 8);  // two rows of blocks fewer than bits would need: still read, with bits that nothing tells
  embed_watermark(narrow, watermark_bits("abc"));
  EXPECT_EQ(text_of(decode_watermark(narrow, 24)), "abc");
}

TEST(SdxlWatermark, EqualsDiffusers) {
  ASSERT_EQ(sdxl_watermark_bits(), vector_bits("sdxl_bits"));
  const Image before = read_png(data("watermark_sdxl_in.png")).image;
  Tensor x = Tensor::empty({1, before.height, before.width, 3});
  {
    const HostEdit<float> values(x);
    for (size_t i = 0; i < before.pixels.size(); ++i)
      values[static_cast<int64_t>(i)] = static_cast<float>(before.pixels[i]) / 127.5f - 1.0f;
  }
  embed_sdxl_watermark(x);
  const HostView<float> got(x);
  const auto want = test::read_tensor<float>(data("watermark.safetensors"), "sdxl_out_rows_96_104");  // [1,3,8,256]
  double difference = 0.0, norm = 0.0;
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < 8; ++y) {
      for (int64_t i = 0; i < 256; ++i) {
        const double value = want[static_cast<size_t>((c * 8 + y) * 256 + i)];
        difference += std::pow(got[((96 + y) * 256 + i) * 3 + c] - value, 2);
        norm += value * value;
      }
    }
  }
  EXPECT_LE(std::sqrt(difference / norm), 1e-6);
  Image marked(before.width, before.height);
  for (size_t i = 0; i < marked.pixels.size(); ++i)
    marked.pixels[i] = static_cast<uint8_t>(std::lround((got[static_cast<int64_t>(i)] / 2.0f + 0.5f) * 255.0f));
  EXPECT_EQ(digest(marked), "f733df2e1b679c04");
  EXPECT_EQ(decode_watermark(marked, 48), vector_bits("sdxl_decoded"));
  EXPECT_EQ(decode_sdxl_watermark(marked, 48), sdxl_watermark_bits());
  EXPECT_LT(agreeing_bits(decode_sdxl_watermark(before, 48), sdxl_watermark_bits()), convincing_bits(48));
}

TEST(SdxlWatermark, LeavesNarrowPicturesAlone) {
  Tensor x = Tensor::full({2, 512, 248, 3}, 0.25f);
  embed_sdxl_watermark(x);
  for (const float value : x.host<float>()) ASSERT_EQ(value, 0.25f);
}

TEST(Watermark, ConvincingBitsAreTheTailOfTheBinomial) {
  EXPECT_EQ(convincing_bits(24), 24);  // 2^-24 = 6e-8
  EXPECT_EQ(convincing_bits(32), 31);  // 33 / 2^32 = 8e-9, with 30 it would be 1.2e-7
  EXPECT_EQ(convincing_bits(48), 42);  // 5e-8
  EXPECT_EQ(convincing_bits(16), 17);  // never
}

}  // namespace
}  // namespace sumi::image
