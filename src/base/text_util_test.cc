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

}  // namespace
}  // namespace sumi
