// The pictures that the default model learns from: the emoji of six groups on a dozen colours.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "image/image.h"
#include "tools/emoji_font.h"

namespace sumi::tools {

struct Emoji {
  std::string name;  // lower case, with plain apostrophes: "red apple", "twelve o'clock"
  std::vector<uint32_t> code_points;
};

// Smileys & Emotion, Animals & Nature, Food & Drink, Travel & Places, Activities and Objects.
std::vector<std::string> default_groups();

// The fully-qualified emoji of these groups without skin tones, in the order of the file, which is Unicode's
// emoji-test.txt. Throws Error(kNoInput) or Error(kData).
std::vector<Emoji> read_emoji(const std::filesystem::path& emoji_test,
                              const std::vector<std::string>& groups = default_groups());

// Where Debian and its derivatives install it: unicode-data.
std::filesystem::path default_emoji_test();

struct Colour {
  const char* name;
  std::array<uint8_t, 3> rgb;
};
// The first is white, the background where none is named.
inline constexpr std::array<Colour, 13> kColours{{{"white", {255, 255, 255}},
                                                  {"red", {215, 45, 45}},
                                                  {"orange", {245, 140, 30}},
                                                  {"yellow", {250, 220, 60}},
                                                  {"green", {50, 150, 70}},
                                                  {"turquoise", {70, 205, 195}},
                                                  {"blue", {45, 95, 215}},
                                                  {"navy", {20, 30, 90}},
                                                  {"purple", {130, 60, 175}},
                                                  {"pink", {245, 160, 195}},
                                                  {"brown", {120, 75, 45}},
                                                  {"grey", {140, 140, 140}},
                                                  {"black", {15, 15, 15}}}};

// "red apple", 3 → "red apple on a yellow background"; "… on an orange background". 0 (white) as the others.
std::string caption_on(const std::string& name, size_t colour);
// "a red apple", "an umbrella"; names that are plural or begin with a number stay as they are.
std::string with_article(const std::string& name);

// How many emoji the default model knows: those of Unicode 15.0, which Debian 12 has.
inline constexpr size_t kEmojiTrainedOn = 1015;

// One pair of name and colour in five is held out of training. White never is. Which pairs depends on the emoji's place
// in the list: another version of the list holds out others.
bool is_held_out(size_t emoji, size_t colour);

// Where the glyph is and how large; by default in the middle, 118 of 128 pixels wide.
struct Placement {
  int64_t canvas = 148;         // pixels of the font's size that the picture's side is; at least 140
  int64_t right = 0, down = 0;  // of the middle, in these pixels
};
// A picture of `size` × `size`.
image::Image draw_emoji(const Glyph& glyph, const Colour& colour, int64_t size, const Placement& placement = {});

}  // namespace sumi::tools
