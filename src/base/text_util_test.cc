#include "base/text_util.h"

#include <gtest/gtest.h>

namespace sumi {
namespace {

TEST(TextUtil, EveryCodePointSurvivesTheRoundTrip) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point == 0xD800) code_point = 0xE000;
    std::string text;
    append_utf8(text, code_point);
    size_t position = 0;
    ASSERT_EQ(decode_utf8(text, position), code_point);
    ASSERT_EQ(position, text.size());
  }
}

TEST(TextUtil, InvalidUtf8IsFoundWhereItBegins) {
  EXPECT_EQ(find_invalid_utf8("plain, caf\xC3\xA9, \xF0\x9F\x90\xB1"), std::nullopt);
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\x80", "\xE2\x82", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xF0\x9F\x90"}) {
    EXPECT_EQ(find_invalid_utf8("ab" + std::string(bad)), 2u);
  }
}

// Bad-input item 133.
TEST(TextUtil, ControlCharactersAreStripped) {
  EXPECT_EQ(strip_control("a\x1B[31mred\x07\x7F\n\tb\r"), "a[31mred  b ");
  EXPECT_EQ(strip_control(std::string_view("nul\0!", 5)), "nul!");
  EXPECT_EQ(strip_control("c1 \xC2\x9B"
                          "31m, nbsp \xC2\xA0, cat \xF0\x9F\x90\xB1"),
            "c1 31m, nbsp \xC2\xA0, cat \xF0\x9F\x90\xB1");
  EXPECT_EQ(strip_control("bad \xFF\x9B byte"), "bad \xEF\xBF\xBD\xEF\xBF\xBD byte");
}

TEST(TextUtil, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(shorten("abc", 3), "abc");
  EXPECT_EQ(shorten("abcd", 3), "abc…");
  EXPECT_EQ(shorten("ab\xC3\xA9", 3), "ab…");
  EXPECT_EQ(shorten("ab\xC3\xA9", 4), "ab\xC3\xA9");
  EXPECT_EQ(shorten("\xF0\x9F\x90\xB1", 2), "…");
}

TEST(Excerpt, HasTwoHundredCharacters) {
  EXPECT_EQ(excerpt("a\nb\x1B[0m"), "a b[0m");
  EXPECT_EQ(excerpt(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(excerpt(std::string(201, 'x')), std::string(200, 'x') + "…");
  std::string wide;
  for (int i = 0; i < 100'000; ++i) wide += "é";
  EXPECT_EQ(excerpt(wide), wide.substr(0, 400) + "…");
  EXPECT_LE(excerpt(std::string(100'000, '\xFF')).size(), 603u);
}

TEST(Abridged, KeepsTheTwoEnds) {
  EXPECT_EQ(abridged(std::string(4000, 'x')), std::string(4000, 'x'));
  EXPECT_EQ(abridged("file: " + std::string(100'000, 'x') + " is wrong"),
            "file: " + std::string(194, 'x') + " … " + std::string(191, 'x') + " is wrong");
  std::string wide = "x";
  for (int i = 0; i < 4000; ++i) wide += "é";
  EXPECT_FALSE(find_invalid_utf8(abridged(wide)));
  EXPECT_LE(abridged(wide).size(), 405u);
}

}  // namespace
}  // namespace sumi
