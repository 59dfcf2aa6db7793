#include "tools/emoji_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "image/resize.h"

namespace sumi::tools {
namespace {

bool is_skin_tone(uint32_t c) { return c >= 0x1F3FB && c <= 0x1F3FF; }

// Lower case, and typographic apostrophes as the ones on keyboards.
std::string plain(const std::string& name) {
  constexpr std::string_view kApostrophe = "\xE2\x80\x99";
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool apostrophe = std::string_view(name).substr(i).starts_with(kApostrophe);
    const char c = apostrophe ? '\'' : name[i];
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (apostrophe) i += kApostrophe.size() - 1;
  }
  return out;
}

}  // namespace

std::vector<std::string> default_groups() {
  return {"Smileys & Emotion", "Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects"};
}

std::vector<Emoji> read_emoji(const std::filesystem::path& file, const std::vector<std::string>& groups) {
  std::ifstream stream(file);
  SUMI_CHECK_KIND(kNoInput, stream.is_open(),
                  "{}: cannot be read; Debian and Ubuntu have it in the package unicode-data", file.string());
  std::vector<Emoji> out;
  std::string line;
  bool wanted = false;
  while (std::getline(stream, line)) {
    constexpr const char* kGroup = "# group: ";
    if (line.starts_with(kGroup)) {
      const std::string group = line.substr(std::string(kGroup).size());
      wanted = std::find(groups.begin(), groups.end(), group) != groups.end();
    }
    // "1F34E   ; fully-qualified     # 🍎 E0.6 red apple"
    const size_t semicolon = line.find(';'), hash = line.find('#');
    if (!wanted || line.starts_with("#") || hash == std::string::npos || semicolon > hash) continue;
    std::string status;
    std::istringstream(line.substr(semicolon + 1)) >> status;
    if (status != "fully-qualified") continue;
    Emoji emoji;
    std::istringstream points(line.substr(0, semicolon));
    for (uint32_t c = 0; points >> std::hex >> c;) emoji.code_points.push_back(c);
    if (std::any_of(emoji.code_points.begin(), emoji.code_points.end(), is_skin_tone)) continue;
    std::istringstream comment(line.substr(hash + 1));
    std::string picture, version;
    comment >> picture >> version >> std::ws;
    std::getline(comment, emoji.name);
    emoji.name = plain(emoji.name);
    out.push_back(std::move(emoji));
  }
  SUMI_CHECK(!out.empty(), "{}: no emoji of {} in it; is it Unicode's emoji-test.txt?", file.string(),
             fmt::join(groups, ", "));
  return out;
}

std::filesystem::path default_emoji_test() { return "/usr/share/unicode/emoji/emoji-test.txt"; }

std::string caption_on(const std::string& name, size_t colour) {
  const std::string word = kColours[colour].name;
  return fmt::format("{} on {} {} background", name, word == "orange" ? "an" : "a", word);
}

std::string with_article(const std::string& name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9') || name.ends_with("s")) return name;
  return fmt::format("{} {}", std::string("aeiou").find(name[0]) != std::string::npos ? "an" : "a", name);
}

// A fixed scatter: two or three colours of every emoji are held out, and a fifth of the emoji of every colour.
bool is_held_out(size_t emoji, size_t colour) { return colour > 0 && (emoji * 7 + colour * 3) % 5 == 0; }

image::Image draw_emoji(const Glyph& glyph, const Colour& colour, int64_t size, const Placement& placement) {
  const int64_t side = placement.canvas;
  const int64_t left = (side - glyph.width) / 2 + placement.right, top = (side - glyph.height) / 2 + placement.down;
  image::Image canvas(side, side);
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      uint8_t* to = canvas.row(y) + 3 * x;
      const int64_t gx = x - left, gy = y - top;
      const bool inside = gx >= 0 && gx < glyph.width && gy >= 0 && gy < glyph.height;
      const uint8_t* from = inside ? glyph.pixels.data() + 4 * (gy * glyph.width + gx) : nullptr;
      for (size_t c = 0; c < 3; ++c) {
        const int under = from == nullptr ? colour.rgb[c] : from[c] + (colour.rgb[c] * (255 - from[3]) + 127) / 255;
        to[c] = static_cast<uint8_t>(std::min(under, 255));
      }
    }
  }
  return image::resize(canvas, size, size, image::Filter::kLanczos);
}

}  // namespace sumi::tools
