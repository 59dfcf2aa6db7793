// Bad-input items 104, 105, 113, 115 to 118 and 120 to 122; the others of pictures are in png_test.cc and read_test.cc.
#include <gtest/gtest.h>
#include <webp/encode.h>

#include <algorithm>
#include <functional>
#include <random>

#include "image/png.h"
#include "image/read.h"
#include "tests/support/made_jpeg.h"
#include "tests/support/rejected.h"
#include "tests/support/temp_folder.h"

namespace sumi::image {
namespace {

using testing::HasSubstr;

Image slope(int64_t width, int64_t height, int offset = 0) {
  Image out(width, height);
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = static_cast<uint8_t>(i * 5 + i / 97 + offset);
  return out;
}

// JPEG

// One of `channels` channels; `choose` sets other options of libjpeg.
std::string as_jpeg(J_COLOR_SPACE space, int channels, const std::function<void(jpeg_compress_struct&)>& choose) {
  std::vector<uint8_t> line(static_cast<size_t>(64 * channels));
  for (size_t i = 0; i < line.size(); ++i) line[i] = static_cast<uint8_t>(i * 3);
  return test::made_jpeg({.width = 64,
                          .height = 64,
                          .space = space,
                          .channels = channels,
                          .row = [&](int64_t) { return line.data(); },
                          .choose = choose});
}

std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}

// Gray, 8192x8192, progressive: all blocks are flat, and each of their 63 other coefficients comes bit by bit, in 14
// scans of 78 bytes. Every scan is valid; only their number is not.
std::string jpeg_of_883_scans() {
  const auto scan = [](int first, int last, int high, int low) {
    return bytes_of({0xFF, 0xDA, 0, 8, 1, 1, 0, first, last, high << 4 | low});
  };
  std::string out = bytes_of({0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0}) + std::string(64, '\1');  // what to multiply by
  out += bytes_of({0xFF, 0xC2, 0, 11, 8, 0x20, 0, 0x20, 0, 1, 1, 0x11, 0});                // 8192x8192 of one component
  // A code of one bit each: of the mean, 0 means no change; of the others, 32,767 blocks less those 14 bits take away
  // are done.
  out += bytes_of({0xFF, 0xC4, 0, 20, 0x00, 1}) + std::string(15, '\0') + bytes_of({0x00});
  out += bytes_of({0xFF, 0xC4, 0, 20, 0x10, 1}) + std::string(15, '\0') + bytes_of({0xE0});
  out += scan(0, 0, 0, 0) + std::string(1024 * 1024 / 8, '\0');
  std::string run;  // 0 and 14 ones, 33 times, and a bit to fill the last byte: more than the million blocks
  unsigned bits = 0;
  for (int i = 0; i < 33 * 15 + 1; ++i) {
    bits = bits << 1 | (i % 15 == 0 ? 0U : 1U);
    if (i % 8 != 7) continue;
    run += static_cast<char>(bits & 0xFF);
    if ((bits & 0xFF) == 0xFF) run += '\0';
  }
  for (int low = 13; low >= 0; --low) {
    for (int k = 1; k <= 63; ++k) out += scan(k, k, low == 13 ? 0 : low + 1, low) + run;
  }
  return out + bytes_of({0xFF, 0xD9});
}

// WebP

std::string as_webp(const Image& image) {
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeLosslessRGB(image.pixels.data(), static_cast<int>(image.width),
                                            static_cast<int>(image.height), static_cast<int>(3 * image.width), &out);
  std::string bytes(reinterpret_cast<char*>(out), size);
  WebPFree(out);
  return bytes;
}

std::string little(uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i);
  return out;
}

std::string chunk(const std::string& name, std::string data) {
  const auto size = static_cast<uint32_t>(data.size());
  if (data.size() % 2 == 1) data += '\0';
  return name + little(size, 4) + data;
}

struct Frame {
  Image image;
  uint32_t x = 0, y = 0;  // even
};

std::string animated_webp(uint32_t width, uint32_t height, const std::vector<Frame>& frames) {
  std::string body = "WEBP" + chunk("VP8X", little(2, 4) + little(width - 1, 3) + little(height - 1, 3)) +
                     chunk("ANIM", little(0xFF00FF00, 4) + little(0, 2));
  for (const Frame& frame : frames) {
    const auto frame_width = static_cast<uint32_t>(frame.image.width),
               frame_height = static_cast<uint32_t>(frame.image.height);
    body += chunk("ANMF", little(frame.x / 2, 3) + little(frame.y / 2, 3) + little(frame_width - 1, 3) +
                              little(frame_height - 1, 3) + little(100, 3) + little(0, 1) +
                              as_webp(frame.image).substr(12));  // less RIFF's head
  }
  return chunk("RIFF", body);
}

class ReadFaults : public testing::Test {
 protected:
  Image read(const std::string& bytes) const {
    test::write_file(folder_ / "picture.png", bytes);
    return read_picture({folder_ / "picture.png"});
  }
  std::string rejection(const std::string& bytes) const {
    test::write_file(folder_ / "picture.png", bytes);
    return test::rejection(folder_ / "picture.png", [&] { read_picture({folder_ / "picture.png"}); });
  }
  // An image or an Error: anything else ends the test.
  bool survives(const std::string& bytes) const {
    try {
      read(bytes);
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
      return false;
    }
  }

 private:
  test::TempFolder folder_;
};

TEST_F(ReadFaults, WhatIsNoPictureUnderItsName) {  // items 104, 105 and 122
  EXPECT_THAT(rejection(""), HasSubstr("not a picture"));
  EXPECT_THAT(rejection("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), HasSubstr("not a picture"));
  EXPECT_THAT(rejection("<!DOCTYPE html><html></html>"), HasSubstr("not a picture"));
  EXPECT_EQ(read(as_webp(slope(8, 8))), slope(8, 8));
}

TEST_F(ReadFaults, AnAnimationIsItsFirstFrame) {  // item 113
  EXPECT_EQ(read(animated_webp(24, 16, {{slope(24, 16)}, {slope(24, 16, 80)}})), slope(24, 16));
  EXPECT_EQ(read(animated_webp(24, 16, {{slope(24, 16)}, {slope(4, 4), 20, 12}})), slope(24, 16));
  EXPECT_THAT(rejection("GIF89a" + std::string(40, '\0')), HasSubstr("broken GIF"));
  EXPECT_THAT(rejection("II*" + std::string(40, '\0')), HasSubstr("TIFF is not"));
}

TEST_F(ReadFaults, AFirstFrameLiesOnWhite) {
  Image expected(24, 16);
  std::fill(expected.pixels.begin(), expected.pixels.end(), uint8_t{255});
  const Image frame = slope(10, 6);
  for (int64_t y = 0; y < frame.height; ++y) std::copy_n(frame.row(y), 30, expected.row(y + 10) + 3 * 14);
  EXPECT_EQ(read(animated_webp(24, 16, {{frame, 14, 10}, {slope(24, 16)}})), expected);
}

TEST_F(ReadFaults, BrokenAnimations) {
  EXPECT_THAT(rejection(animated_webp(24, 16, {})), HasSubstr("broken"));
  EXPECT_THAT(rejection(animated_webp(24, 16, {{slope(24, 16), 2, 0}})), HasSubstr("broken"));  // out of the canvas
  EXPECT_THAT(rejection(animated_webp(16384, 16384, {{slope(8, 8)}})), HasSubstr("megapixels"));
  const std::string whole = animated_webp(24, 16, {{slope(10, 6), 14, 10}, {slope(24, 16)}});
  for (size_t length = 12; length < whole.size(); length += 7) rejection(whole.substr(0, length));
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string file = whole;
    file[i] = static_cast<char>(file[i] ^ 0x11);
    if (i < 24 || i >= 30) survives(file);  // a canvas of 64 megapixels is valid, and slow
  }
}

TEST_F(ReadFaults, JpegsOfOtherKinds) {  // item 117
  EXPECT_EQ(read(as_jpeg(JCS_CMYK, 4, [](auto&) {})).channels, 3);
  EXPECT_EQ(read(as_jpeg(JCS_CMYK, 4, [](auto& jpeg) { jpeg_set_colorspace(&jpeg, JCS_YCCK); })).channels, 3);
  std::string twelve_bits = as_jpeg(JCS_RGB, 3, [](auto&) {});
  const size_t frame = twelve_bits.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  twelve_bits[frame + 4] = 12;
  twelve_bits[frame + 1] = '\xC1';  // a frame type that is not limited to 8 bits
  EXPECT_THAT(rejection(twelve_bits), HasSubstr("12"));
  const Image gray = read(as_jpeg(JCS_GRAYSCALE, 1, [](auto&) {}));
  EXPECT_EQ(gray.channels, 3);
  EXPECT_EQ(gray.row(9)[30], gray.row(9)[32]);
}

TEST_F(ReadFaults, BrokenJpegs) {  // items 115 and 116
  std::string codes = as_jpeg(JCS_RGB, 3, [](auto&) {});
  const size_t table = codes.find("\xFF\xC4");
  ASSERT_NE(table, std::string::npos);
  codes[table + 5] = '\x7F';  // more codes of one bit than there are
  EXPECT_THAT(rejection(codes), HasSubstr("broken JPEG"));
  std::string late = as_jpeg(JCS_RGB, 3, [](auto&) {});
  const size_t frame = late.find("\xFF\xC0"), length = 2 + 17;
  const std::string header = late.substr(frame, length);
  late.erase(frame, length);
  late.insert(late.size() - 2, header);
  EXPECT_THAT(rejection(late), HasSubstr("broken JPEG"));
}

TEST_F(ReadFaults, ProgressiveJpegsOfVeryManyScans) {  // item 118
  EXPECT_EQ(read(as_jpeg(JCS_RGB, 3, [](auto& jpeg) { jpeg_simple_progression(&jpeg); })).width, 64);
  EXPECT_THAT(rejection(jpeg_of_883_scans()), HasSubstr("883 scans"));
}

TEST_F(ReadFaults, WebpsWhoseSizeLies) {  // item 120
  const std::string webp = as_webp(slope(32, 32));
  const auto with_size = [&](size_t at, uint32_t size) {
    std::string file = webp;
    return file.replace(at, 4, little(size, 4));
  };
  const auto true_size = static_cast<uint32_t>(webp.size() - 8);
  // The sizes of the whole file and of the chunk with the pixels.
  for (const uint32_t size : {true_size + 2, true_size + 1000, 0x7FFFFFFFU, 0xFFFFFFF6U, 0xFFFFFFFFU}) {
    EXPECT_THAT(rejection(with_size(4, size)), HasSubstr("broken WebP")) << size;
    EXPECT_THAT(rejection(with_size(16, size)), HasSubstr("broken WebP")) << size;
  }
  for (const uint32_t size : {0U, 1U, 4U, 11U, true_size / 2, true_size - 2}) {
    EXPECT_FALSE(survives(with_size(4, size))) << size;
    survives(with_size(16, size));
  }
  EXPECT_EQ(read(webp + std::string(100, 'x')), slope(32, 32));  // longer than stated: the rest is ignored
}

// Item 121. The code lengths that a decoder trusted once too often (CVE-2023-4863) stand at the beginning.
TEST_F(ReadFaults, LosslessWebpsOfRandomBits) {
  const std::string webp = as_webp(slope(48, 48));
  constexpr size_t kSizesEnd = 25;  // before it are headers and the size of the picture
  int refused = 0;
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    std::string file = webp;
    const size_t room = seed % 2 == 0 ? 60 : file.size() - kSizesEnd;
    for (uint32_t flips = 1 + random() % 8; flips > 0; --flips) {
      const size_t at = kSizesEnd + random() % std::min(room, file.size() - kSizesEnd);
      file[at] = static_cast<char>(file[at] ^ 1 << random() % 8);
    }
    refused += survives(file) ? 0 : 1;
  }
  EXPECT_GT(refused, 250);
}

}  // namespace
}  // namespace sumi::image
