#include "image/file_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/check.h"

namespace sumi::image {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<PngText> read(const std::string& file) {
  return read_texts(std::as_bytes(std::span(file.data(), file.size())), "x");
}

// Numbers in the byte order of an Exif block.
struct Bytes {
  bool little;
  std::string text = {};
  void number(uint32_t value, int count) {
    for (int i = 0; i < count; ++i) text += static_cast<char>(value >> 8 * (little ? i : count - 1 - i));
  }
};

struct Tag {
  uint32_t tag, type;
  std::string bytes;
};

// A TIFF block with one directory, and one for photographs with the user comment.
std::string exif(bool little, const std::vector<Tag>& tags, const std::string& comment) {
  Bytes out{.little = little, .text = little ? "II" : "MM"};
  out.number(42, 2);
  out.number(8, 4);
  out.number(static_cast<uint32_t>(tags.size()) + 1, 2);
  const size_t directory = 12 * (tags.size() + 1);
  uint32_t data = static_cast<uint32_t>(10 + directory + 4);
  std::string more;
  for (const Tag& tag : tags) {
    out.number(tag.tag, 2);
    out.number(tag.type, 2);
    out.number(static_cast<uint32_t>(tag.bytes.size()), 4);
    out.number(data + static_cast<uint32_t>(more.size()), 4);
    more += tag.bytes;
  }
  out.number(0x8769, 2);
  out.number(4, 2);
  out.number(1, 4);
  out.number(data + static_cast<uint32_t>(more.size()), 4);
  out.number(0, 4);
  out.text += more;
  out.number(1, 2);
  out.number(0x9286, 2);
  out.number(7, 2);
  out.number(static_cast<uint32_t>(comment.size()), 4);
  out.number(static_cast<uint32_t>(out.text.size()) + 8, 4);
  out.number(0, 4);
  return out.text + comment;
}

std::string jpeg(const std::string& block) {
  const std::string body = std::string("Exif\0\0", 6) + block;
  std::string out = "\xff\xd8\xff\xe0";
  out += std::string("\0\x04", 2) + "JF";
  out += "\xff\xe1";
  out += static_cast<char>((body.size() + 2) >> 8);
  out += static_cast<char>(body.size() + 2);
  return out + body + "\xff\xda";
}

std::string webp(const std::string& block) {
  const auto chunk = [](const std::string& name, const std::string& body) {
    Bytes size{.little = true};
    size.number(static_cast<uint32_t>(body.size()), 4);
    return name + size.text + body + std::string(body.size() % 2, '\0');
  };
  return chunk("RIFF", "WEBP" + chunk("VP8X", "abc") + chunk("EXIF", block));
}

std::string utf16(const std::u16string& text, bool little) {
  Bytes out{.little = little};
  for (const char16_t c : text) out.number(c, 2);
  return out.text;
}

TEST(FileTexts, OfAPng) {
  const std::vector<PngText> texts{{"parameters", "a caf\u00e9"}, {"prompt", "{}"}};
  const auto bytes = encode_png(Image(2, 2), texts);
  EXPECT_EQ(read_texts(bytes, "x"), texts);
}

TEST(FileTexts, Latin1BecomesUtf8) {
  std::string png;
  for (const std::byte b : encode_png(Image(2, 2), {{"parameters", "a cafe"}})) png += static_cast<char>(b);
  // The same letters with an accent that is Latin-1's, and that chunk's checksum.
  const size_t at = png.find("cafe");
  png[at + 3] = '\xe9';
  uint32_t crc = 0xFFFFFFFFu;
  const size_t begin = png.find("tEXt");
  for (size_t i = begin; i < at + 4; ++i) {
    crc ^= static_cast<unsigned char>(png[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  Bytes sum{.little = false};
  sum.number(~crc, 4);
  png.replace(at + 4, 4, sum.text);
  EXPECT_THAT(read(png), ElementsAre(Pair("parameters", "a caf\u00e9")));
}

TEST(FileTexts, OfExifInBothOrders) {
  for (const bool little : {false, true}) {
    for (const bool text_little : {false, true}) {
      const std::string comment = std::string("UNICODE\0", 8) + utf16(u"a caf\u00e9 \U0001F600\nSteps: 3", text_little);
      const auto expected = ElementsAre(Pair("parameters", "a caf\u00e9 \U0001F600\nSteps: 3"));
      EXPECT_THAT(read(jpeg(exif(little, {}, comment))), expected);
      EXPECT_THAT(read(webp(exif(little, {}, comment))), expected);
    }
    EXPECT_THAT(read(webp(exif(little, {{0x0110, 2, std::string("prompt:{\"1\":2}\0", 15)}, {0x010f, 2, "Camera"}},
                               std::string("ASCII\0\0\0hello", 13)))),
                ElementsAre(Pair("prompt", "{\"1\":2}"), Pair("parameters", "hello")));
  }
}

TEST(FileTexts, OtherFilesAreRefused) {
  for (const std::string file : {"", "abc", "GIF89a", "RIFFxxxxWAVE"}) EXPECT_THROW(read(file), Error) << file;
  EXPECT_THROW(read("\x89PNG\r\n\x1a\n"), Error);
  EXPECT_THAT(read("\xff\xd8\xff\xd9"), IsEmpty());
}

// Bytes changed and cut: nothing reads outside of the file (the sanitizers' builds see that), and nothing throws.
TEST(FileTexts, BrokenExif) {
  std::mt19937 random(3);
  const std::string block = exif(true, {{0x0110, 2, "prompt:abcdef"}}, std::string("UNICODE\0a\0b\0", 12));
  for (int i = 0; i < 20000; ++i) {
    std::string file = i % 2 == 0 ? jpeg(block) : webp(block);
    for (int change = 0; change < 3; ++change) {
      const size_t at = 12 + random() % (file.size() - 12);
      file[at] = static_cast<char>(random() % 3 == 0 ? 0xff : random());
    }
    file.resize(12 + random() % (file.size() - 11));
    read(file);
  }
}

}  // namespace
}  // namespace sumi::image
