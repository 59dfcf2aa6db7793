// Pictures of the system's colour emoji font.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sumi::tools {

// A glyph's bitmap: RGBA, 8 bits each, colours multiplied by their opacity.
struct Glyph {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;  // [height, width, 4]
};

// A font of colour bitmaps (CBDT), as Noto Color Emoji is.
class EmojiFont {
 public:
  // Throws Error(kNoInput) where there is no such font, Error(kData) where it has no colour bitmaps.
  explicit EmojiFont(const std::filesystem::path& file);
  ~EmojiFont();

  // The glyph of a sequence of code points, which the font must have as a single one (several may be joined). Throws
  // Error(kData) otherwise.
  Glyph draw(const std::vector<uint32_t>& code_points) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Where Debian and its derivatives install it: fonts-noto-color-emoji.
std::filesystem::path default_emoji_font();

}  // namespace sumi::tools
