#include "image/file_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/check.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/made_png.h"
#include "tests/support/rejected.h"
#include "tests/support/temp_folder.h"

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

std::string png_with(const std::vector<std::pair<std::string, std::string>>& before,
                     const std::vector<std::pair<std::string, std::string>>& after = {}) {
  return test::made_png({.colour_type = 2, .pixels = "abc", .before = before, .after = after});
}

std::string zipped(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  return out.substr(0, size);
}

std::string ztxt(const std::string& key, const std::string& text) { return key + std::string(2, '\0') + zipped(text); }

TEST(FileTexts, OfAPngBeforeAndAfterThePixels) {
  const std::string key("prompt\0", 7), key2("workflow\0", 9);
  EXPECT_THAT(read(png_with({{"tEXt", key + "one"}}, {{"zTXt", ztxt("workflow", "two")}})),
              ElementsAre(Pair("prompt", "one"), Pair("workflow", "two")));
  const std::string plain = std::string("\0\0en\0titre\0", 11), packed = std::string("\1\0\0\0", 4);
  EXPECT_THAT(read(png_with({{"iTXt", key + plain + "caf\u00e9"}}, {{"iTXt", key2 + packed + zipped("tw\u00f6")}})),
              ElementsAre(Pair("prompt", "caf\u00e9"), Pair("workflow", "tw\u00f6")));
}

TEST(FileTexts, BrokenPngTextsAreLeftOut) {
  std::string file = png_with({{"tEXt", "no zero byte"},
                               {"tEXt", std::string("\0empty key", 10)},
                               {"tEXt", std::string(80, 'k') + std::string("\0x", 2)},
                               {"zTXt", std::string("a\0\1x", 4)},
                               {"zTXt", std::string("a\0\0no stream", 12)},
                               {"zTXt", ztxt("a", "cut short, whatever it is").substr(0, 12)},
                               {"iTXt", std::string("a\0\2\0\0\0x", 7)},
                               {"iTXt", std::string("a\0\0\0x", 5)},
                               {"tEXt", std::string("wrong sum\0x", 11)},
                               {"tEXt", std::string("key\0text\0more", 13)}});
  file[file.find("wrong sum") + 10] = 'y';
  EXPECT_THAT(read(file), ElementsAre(Pair("key", "text")));
}

TEST(FileTexts, Latin1BecomesUtf8) {
  const std::string text("Author\0Ren\xe9", 11);
  const auto expected = ElementsAre(Pair("Author", "Ren\u00e9"));
  EXPECT_THAT(read(png_with({{"tEXt", text}})), expected);
  EXPECT_THAT(read(png_with({{"zTXt", ztxt("Author", "Ren\xe9")}})), expected);
  // A decoded PNG has them as they are written again.
  const std::string file = png_with({{"tEXt", text}});
  EXPECT_THAT(decode_png(std::as_bytes(std::span(file))).texts, expected);
}

// Reads the file within 64 MB, and returns how many bytes its texts have.
size_t bytes_of_texts(const std::string& file) {
  std::ofstream("/proc/self/clear_refs") << "5";  // resets the peak, if the system allows it
  const int64_t resident = test::status_kb("VmRSS");
  const double begin = test::cpu_seconds();
  size_t sum = 0;
  for (const auto& [key, text] : read(file)) sum += text.size();
  if (!test::kSanitized) {
    EXPECT_LT(test::status_kb("VmHWM") - resident, 64 << 10);
    EXPECT_LT(test::cpu_seconds() - begin, 2.0);
  }
  return sum;
}

TEST(FileTexts, ManyLargeTextsOfAPngDoNotAddUp) {
  std::vector<std::pair<std::string, std::string>> chunks(60, {"zTXt", ztxt("a", std::string(4'000'000, 'a'))});
  EXPECT_EQ(bytes_of_texts(png_with(chunks)), 8'000'000u);
  chunks.resize(64, {"zTXt", ztxt("a", std::string(4'100'000, '\xe9'))});  // 8.2 MB in UTF-8
  std::fill(chunks.begin(), chunks.begin() + 60, chunks.back());
  EXPECT_EQ(bytes_of_texts(png_with(chunks)), 0u);
  // Of any number of chunks, 64 are looked at.
  EXPECT_EQ(read(png_with(std::vector(1000, std::pair<std::string, std::string>("tEXt", {"a\0b", 3})))).size(), 64u);
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

// Two directories of 200 comments each, all of them the same 4 MB.
TEST(FileTexts, ManyCommentsThatAreOne) {
  constexpr uint32_t kEntries = 200, kComment = 4 << 20, kSecond = 10 + 12 * kEntries;
  Bytes block{.little = false, .text = "MM"};
  block.number(42, 2);
  block.number(8, 4);
  const auto entry = [&](uint32_t tag, uint32_t type, uint32_t count, uint32_t value) {
    block.number(tag, 2);
    block.number(type, 2);
    block.number(count, 4);
    block.number(value, 4);
  };
  const uint32_t data = kSecond + 2 + 12 * kEntries;
  block.number(kEntries, 2);
  for (uint32_t i = 1; i < kEntries; ++i) entry(0x9286, 7, kComment, data);
  entry(0x8769, 4, 1, kSecond);
  block.number(kEntries, 2);
  for (uint32_t i = 0; i < kEntries; ++i) entry(0x9286, 7, kComment, data);
  block.text += std::string("ASCII\0\0\0", 8) + std::string(kComment - 8, 'a');
  const std::string file = webp(block.text);
  EXPECT_EQ(bytes_of_texts(file), kComment - 8);
}

TEST(FileTexts, TheFirstOfEachTagAndBlockCounts) {
  const std::string first = std::string("ASCII\0\0\0first", 13), second = std::string("ASCII\0\0\0second", 14);
  const auto tags = [](const std::string& a, const std::string& b) {
    return std::vector<Tag>{{0x0110, 2, "prompt:" + a}, {0x0110, 2, "prompt:" + b}};
  };
  const auto expected = ElementsAre(Pair("prompt", "a"), Pair("parameters", "first"));
  EXPECT_THAT(read(webp(exif(true, tags("a", "b"), first))), expected);
  // Of several blocks the first that has texts.
  const std::string none = exif(true, {}, std::string("ASCII\0\0\0    ", 12)), other = exif(false, {}, second);
  const auto joined = [](const std::vector<std::string>& files, size_t begin, size_t end) {
    std::string out = files[0].substr(0, files[0].size() - end);
    for (size_t i = 1; i < files.size(); ++i) out += files[i].substr(begin, files[i].size() - begin - end);
    return out;
  };
  EXPECT_THAT(read(joined({jpeg(none), jpeg(exif(true, tags("a", "b"), first)), jpeg(other)}, 2, 2) + "\xff\xda"),
              expected);
  EXPECT_THAT(read(joined({webp(none), webp(exif(true, tags("a", "b"), first)), webp(other)}, 12, 0)), expected);
}

TEST(FileTexts, Utf16OfEitherOrder) {
  const std::string kind("UNICODE\0", 8);
  for (const bool block_little : {false, true}) {
    const auto text = [&](const std::u16string& value, bool little) {
      const auto texts = read(webp(exif(block_little, {}, kind + utf16(value, little))));
      return texts.empty() ? "" : texts[0].second;
    };
    for (const bool little : {false, true}) {
      // A mark counts, whatever the letters look like. U+4E00 has a zero where the other order has ASCII's.
      EXPECT_EQ(text(u"\uFEFF\u4E00\u4E00\u4E00", little), "\u4E00\u4E00\u4E00");
      // Letters that look like the other order at first.
      EXPECT_EQ(text(std::u16string(200, u'\u4E00') + std::u16string(300, u'a'), little).substr(0, 6), "\u4E00\u4E00");
    }
    // Without a sign the block's own order.
    EXPECT_EQ(text(u"\u732B\u3068\u72AC", block_little), "\u732B\u3068\u72AC");
    EXPECT_EQ(text(u"a\uFEFFb", block_little), "a\uFEFFb");
  }
}

TEST(FileTexts, FillBytesBeforeMarkersAreSkipped) {
  std::string file = jpeg(exif(true, {}, std::string("ASCII\0\0\0hello", 13)));
  file.insert(file.find("\xff\xe1"), "\xff\xff\xff");
  EXPECT_THAT(read(file), ElementsAre(Pair("parameters", "hello")));
}

TEST(FileTexts, TheFirstParametersThatSaySomething) {
  EXPECT_EQ(parameters_in({{"prompt", "a"}, {"parameters", ""}}), nullptr);
  const std::vector<PngText> texts{{"prompt", "a"}, {"parameters", ""}, {"parameters", "b"}, {"parameters", "c"}};
  EXPECT_EQ(parameters_in(texts), &texts[2].second);
}

TEST(FileTexts, WithThePicture) {
  const test::TempFolder folder;
  write_png(folder / "a.png", Image(3, 2), {{"parameters", "a"}, {"workflow", "{}"}});
  const PictureWithTexts png = read_with_texts(folder / "a.png");
  EXPECT_EQ(png.image, Image(3, 2));
  EXPECT_THAT(png.texts, ElementsAre(Pair("parameters", "a"), Pair("workflow", "{}")));
  test::write_file(folder / "a.gif", "GIF89a, and no more");
  EXPECT_THROW(read_with_texts(folder / "a.gif"), Error);
  // One pixel, and no texts.
  test::write_file(folder / "a.bmp",
                   std::string("BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0", 30) +
                       std::string(24, '\0') + std::string("\1\2\3\0", 4));
  const PictureWithTexts bmp = read_with_texts(folder / "a.bmp");
  EXPECT_EQ(bmp.image.width, 1);
  EXPECT_THAT(bmp.texts, IsEmpty());
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
