#include "image/png.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <fstream>

#include "base/check.h"

namespace sumi::image {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

Image gradient(int64_t width, int64_t height) {
  Image image(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 7 + i / 13);
  return image;
}

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

void append_be32(Bytes& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(value >> shift));
}

// A chunk with its checksum.
void append_chunk(Bytes& out, const std::string& type, const Bytes& data) {
  append_be32(out, static_cast<uint32_t>(data.size()));
  Bytes body;
  for (const char c : type) body.push_back(static_cast<std::byte>(c));
  body.insert(body.end(), data.begin(), data.end());
  out.insert(out.end(), body.begin(), body.end());
  append_be32(out, static_cast<uint32_t>(
                       crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

Bytes deflated(const Bytes& raw) {
  uLongf size = compressBound(raw.size());
  Bytes out(size);
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  out.resize(size);
  return out;
}

// A PNG by hand: header fields, chunks before the pixels, and the unpacked scan lines.
Bytes made_png(uint32_t width, uint32_t height, int depth, int colour, const Bytes& lines,
               const std::vector<std::pair<std::string, Bytes>>& chunks = {}) {
  Bytes out = bytes({0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a});
  Bytes header;
  append_be32(header, width);
  append_be32(header, height);
  for (const int b : {depth, colour, 0, 0, 0}) header.push_back(static_cast<std::byte>(b));
  append_chunk(out, "IHDR", header);
  for (const auto& [type, data] : chunks) append_chunk(out, type, data);
  append_chunk(out, "IDAT", deflated(lines));
  append_chunk(out, "IEND", {});
  return out;
}

std::string refusal(const Bytes& file) {
  try {
    decode_png(file, "x.png");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return error.what();
  }
  return "accepted";
}

TEST(Png, RoundTripsPixelsAndTexts) {
  const Image image = gradient(37, 19);
  const std::string text = "a cat\nSteps: 20, Sampler: Euler a";
  const Png back = decode_png(encode_png(image, {{"parameters", text}, {"title", "猫 – café"}}));
  EXPECT_EQ(back.image, image);
  ASSERT_EQ(back.texts.size(), 2u);
  EXPECT_EQ(back.texts[0], PngText("parameters", text));
  EXPECT_EQ(back.texts[1], PngText("title", "猫 – café"));
}

TEST(Png, SamePictureSameBytes) { EXPECT_EQ(encode_png(gradient(64, 64)), encode_png(gradient(64, 64))); }

TEST(Png, WritesWholeFilesOnly) {
  const fs::path folder = fs::path(testing::TempDir()) / "png_test";
  fs::create_directories(folder);
  const fs::path path = folder / "a.png";
  std::ofstream(path) << "old";
  write_png(path, gradient(8, 8));
  EXPECT_EQ(read_png(path).image, gradient(8, 8));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
  EXPECT_THROW(write_png(folder / "absent" / "a.png", gradient(8, 8)), Error);
  EXPECT_THROW(read_png(folder / "b.png"), Error);
  EXPECT_THROW(read_png(folder), Error);
  fs::remove_all(folder);
}

TEST(Png, ANewNameIsTakenWhereTheFirstIsUsed) {
  const fs::path folder = fs::path(testing::TempDir()) / "png_new_test";
  fs::create_directories(folder);
  std::ofstream(folder / "1") << "mine";
  int number = 0;
  const auto next = [&] { return folder / std::to_string(++number); };
  EXPECT_EQ(write_new_png(next, gradient(8, 8), {{"title", "x"}}), folder / "2");
  EXPECT_EQ(read_png(folder / "2").texts, (std::vector<PngText>{{"title", "x"}}));
  EXPECT_EQ(fs::file_size(folder / "1"), 4u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 2);
  fs::remove_all(folder);
}

// A million is where libpng stops by itself; a grid of small pictures may be higher.
TEST(Png, WritesAndReadsOverAMillionRows) {
  Image image(1, 1'000'001);
  image.pixels.back() = 9;
  EXPECT_EQ(decode_png(encode_png(image)).image, image);
}

TEST(Png, RefusesToWriteWhatIsNotRgb) {
  EXPECT_THROW(encode_png(Image(4, 4, 1)), Error);
  EXPECT_THROW(encode_png(Image()), Error);
}

TEST(Png, ExpandsGrayPalettesAndDepth) {
  EXPECT_EQ(decode_png(made_png(2, 1, 8, 0, bytes({0, 10, 250}))).image.pixels,
            (std::vector<uint8_t>{10, 10, 10, 250, 250, 250}));
  EXPECT_EQ(decode_png(made_png(1, 1, 16, 2, bytes({0, 255, 255, 128, 128, 0, 0}))).image.pixels,
            (std::vector<uint8_t>{255, 128, 0}));
  EXPECT_EQ(decode_png(made_png(1, 1, 8, 6, bytes({0, 1, 2, 3, 255}))).image.pixels, (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ(decode_png(made_png(2, 1, 1, 3, bytes({0, 0x40}), {{"PLTE", bytes({9, 8, 7, 6, 5, 4})}})).image.pixels,
            (std::vector<uint8_t>{9, 8, 7, 6, 5, 4}));
}

TEST(Png, AnAnimationIsItsFirstFrame) {  // bad-input item 113: readers without animations read the pixels of IDAT
  const Bytes two_frames = bytes({0, 0, 0, 2, 0, 0, 0, 0});
  EXPECT_EQ(decode_png(made_png(2, 1, 8, 0, bytes({0, 10, 250}), {{"acTL", two_frames}})).image.pixels,
            (std::vector<uint8_t>{10, 10, 10, 250, 250, 250}));
}

TEST(Png, RefusesWhatIsNoPng) {
  EXPECT_EQ(refusal({}), "x.png is not a PNG file");
  EXPECT_EQ(refusal(bytes({'<', 'h', 't', 'm', 'l', '>', ' ', ' ', ' '})), "x.png is not a PNG file");
}

TEST(Png, RefusesEveryTruncation) {
  const Bytes whole = encode_png(gradient(16, 16), {{"parameters", "a"}});
  for (size_t length = 0; length < whole.size(); ++length) {
    ASSERT_NE(refusal(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))), "accepted") << length;
  }
}

TEST(Png, RefusesABrokenChecksum) {
  Bytes file = made_png(2, 1, 8, 0, bytes({0, 10, 250}));
  file[file.size() - 12 - 5] ^= std::byte{1};  // within the pixels' checksum, before the end chunk
  EXPECT_NE(refusal(file).find("x.png is a broken PNG"), std::string::npos);
}

TEST(Png, RefusesHugePicturesBeforeTakingMemory) {
  EXPECT_NE(refusal(made_png(16384, 16384, 8, 2, {})).find("16384x16384"), std::string::npos);
  EXPECT_NE(refusal(made_png(0x7fffffff, 1, 8, 2, {})), "accepted");
  EXPECT_NE(refusal(made_png(0, 1, 8, 2, {})), "accepted");
}

// A text of 64 MB packed into 64 KB: it is dropped or refused, never unpacked.
TEST(Png, ACompressedTextDoesNotExplode) {
  Bytes text = bytes({'k', 0, 0});
  const Bytes packed = deflated(Bytes(64 << 20));
  text.insert(text.end(), packed.begin(), packed.end());
  const Bytes file = made_png(1, 1, 8, 0, bytes({0, 7}), {{"zTXt", text}});
  try {
    const Png png = decode_png(file);
    for (const auto& [key, value] : png.texts) EXPECT_LT(value.size(), size_t{8} << 20) << key;
    EXPECT_EQ(png.image.pixels, (std::vector<uint8_t>{7, 7, 7}));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
  }
}

// Any single changed byte gives a picture or a sentence: never a crash (run under the sanitizers).
TEST(Png, SurvivesAnyFlippedByte) {
  const Bytes whole = encode_png(gradient(9, 7), {{"parameters", "a"}, {"title", "é"}});
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes file = whole;
      file[i] ^= static_cast<std::byte>(flip);
      const std::string said = refusal(file);
      EXPECT_FALSE(said.empty());
    }
  }
}

}  // namespace
}  // namespace sumi::image
