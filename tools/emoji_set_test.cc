#include "tools/emoji_set.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi::tools {
namespace {

TEST(EmojiSet, ReadsTheGroupsThatAreWanted) {
  const test::TempFolder folder;
  test::write_file(folder / "emoji-test.txt",
                   "# group: Smileys & Emotion\n"
                   "1F600 ; fully-qualified # \xF0\x9F\x98\x80 E1.0 grinning face\n"
                   "263A ; unqualified # x E0.6 smiling face\n"
                   "1F636 200D 1F32B FE0F ; fully-qualified # x E13.1 face in clouds\n"
                   "# group: People & Body\n"
                   "1F44B ; fully-qualified # x E0.6 waving hand\n"
                   "# group: Objects\n"
                   "1F97F 1F3FB ; fully-qualified # x E1.0 shoe: light skin tone\n"
                   "1F45E ; fully-qualified # x E0.6 Man\xE2\x80\x99s shoe\n");
  const std::vector<Emoji> emoji = read_emoji(folder / "emoji-test.txt");
  ASSERT_EQ(emoji.size(), 3u);
  EXPECT_EQ(emoji[0].name, "grinning face");
  EXPECT_EQ(emoji[1].code_points, (std::vector<uint32_t>{0x1F636, 0x200D, 0x1F32B, 0xFE0F}));
  EXPECT_EQ(emoji[2].name, "man's shoe");
  EXPECT_THROW(read_emoji(folder / "none"), Error);
  const std::vector<Emoji> people = read_emoji(folder / "emoji-test.txt", {"People & Body"});
  ASSERT_EQ(people.size(), 1u);
  EXPECT_EQ(people[0].name, "waving hand");
  EXPECT_THROW(read_emoji(folder / "emoji-test.txt", {"Flags"}), Error);
}

TEST(EmojiSet, NamesAndKeepsPairs) {
  EXPECT_EQ(caption_on("red apple", 3), "red apple on a yellow background");
  EXPECT_EQ(caption_on("octopus", 2), "octopus on an orange background");
  EXPECT_EQ(with_article("umbrella"), "an umbrella");
  EXPECT_EQ(with_article("2nd place medal"), "2nd place medal");
  int64_t kept = 0, pairs = 0;
  for (size_t emoji = 0; emoji < 1015; ++emoji) {
    EXPECT_FALSE(is_held_out(emoji, 0)) << "white is never held out";
    for (size_t colour = 1; colour < kColours.size(); ++colour, ++pairs) kept += is_held_out(emoji, colour) ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(pairs), 0.2, 0.01);
}

TEST(EmojiSet, DrawsAGlyphOnItsColour) {
  Glyph glyph{.width = 100, .height = 100, .pixels = std::vector<uint8_t>(100 * 100 * 4, 0)};
  for (size_t i = 0; i < glyph.pixels.size(); i += 4) {
    glyph.pixels[i] = 128;  // half a red, as opaque as that
    glyph.pixels[i + 3] = 128;
  }
  const image::Image picture = draw_emoji(glyph, kColours[0], 64);
  EXPECT_EQ(picture.width, 64);
  for (const int64_t corner : {0, 63}) EXPECT_EQ(picture.row(corner)[3 * corner], 255);
  const uint8_t* middle = picture.row(32) + 3 * 32;
  EXPECT_NEAR(middle[0], 255, 1);
  EXPECT_NEAR(middle[1], 127, 1);
}

// The real font and list, where this machine has them.
TEST(EmojiSet, TheFontHasAGlyphForEveryName) {
  if (!std::filesystem::exists(default_emoji_font()) || !std::filesystem::exists(default_emoji_test()))
    GTEST_SKIP() << "fonts-noto-color-emoji or unicode-data is not installed";
  const EmojiFont font(default_emoji_font());
  const std::vector<Emoji> emoji = read_emoji(default_emoji_test());
  EXPECT_GE(emoji.size(), 1000u);
  for (size_t i = 0; i < emoji.size(); i += 97) EXPECT_GT(font.draw(emoji[i].code_points).width, 64) << emoji[i].name;
  EXPECT_THROW(font.draw({'a', 'b'}), Error);
}

TEST(EmojiFont, RefusesWhatIsNoColourFont) {
  const test::TempFolder folder;
  test::write_file(folder / "x.ttf", "not a font");
  EXPECT_THROW(EmojiFont(folder / "x.ttf"), Error);
  EXPECT_THROW(EmojiFont(folder / "none.ttf"), Error);
}

}  // namespace
}  // namespace sumi::tools
