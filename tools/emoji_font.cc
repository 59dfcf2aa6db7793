#include "tools/emoji_font.h"

#include <fmt/format.h>
#include <ft2build.h>
#include <hb.h>
#include FT_FREETYPE_H

#include "base/check.h"

namespace sumi::tools {

struct EmojiFont::Parts {
  std::string name;
  FT_Library library = nullptr;
  FT_Face face = nullptr;
  hb_font_t* shaper = nullptr;

  ~Parts() {
    if (shaper != nullptr) hb_font_destroy(shaper);
    if (face != nullptr) FT_Done_Face(face);
    if (library != nullptr) FT_Done_FreeType(library);
  }
};

EmojiFont::EmojiFont(const std::filesystem::path& file) : parts_(std::make_unique<Parts>()) {
  Parts& p = *parts_;
  p.name = file.string();
  SUMI_CHECK_KIND(kNoInput, std::filesystem::is_regular_file(file),
                  "{}: there is no such font; Debian and Ubuntu have it in the package fonts-noto-color-emoji", p.name);
  SUMI_CHECK_KIND(kInternal, FT_Init_FreeType(&p.library) == 0, "FreeType does not start");
  SUMI_CHECK(FT_New_Face(p.library, p.name.c_str(), 0, &p.face) == 0, "{}: not a font", p.name);
  SUMI_CHECK(FT_HAS_COLOR(p.face) && p.face->num_fixed_sizes > 0 && FT_Select_Size(p.face, 0) == 0,
             "{}: has no colour bitmaps", p.name);
  hb_blob_t* blob = hb_blob_create_from_file(p.name.c_str());
  hb_face_t* face = hb_face_create(blob, 0);
  p.shaper = hb_font_create(face);
  hb_face_destroy(face);
  hb_blob_destroy(blob);
}

EmojiFont::~EmojiFont() = default;

Glyph EmojiFont::draw(const std::vector<uint32_t>& code_points) const {
  const Parts& p = *parts_;
  std::string named;
  for (const uint32_t c : code_points) named += fmt::format(" U+{:04X}", c);
  hb_buffer_t* buffer = hb_buffer_create();
  hb_buffer_add_codepoints(buffer, code_points.data(), static_cast<int>(code_points.size()), 0,
                           static_cast<int>(code_points.size()));
  hb_buffer_guess_segment_properties(buffer);
  hb_shape(p.shaper, buffer, nullptr, 0);
  unsigned count = 0;
  const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer, &count);
  std::vector<FT_UInt> drawn;
  for (unsigned i = 0; i < count; ++i) {
    const FT_UInt glyph = glyphs[i].codepoint;
    // Selectors and joiners that are left over are blank.
    if (FT_Load_Glyph(p.face, glyph, FT_LOAD_COLOR) == 0 && p.face->glyph->bitmap.pixel_mode == FT_PIXEL_MODE_BGRA &&
        p.face->glyph->bitmap.width > 0)
      drawn.push_back(glyph);
  }
  hb_buffer_destroy(buffer);
  SUMI_CHECK(drawn.size() == 1 && drawn[0] != 0, "{}: has no single glyph for{}", p.name, named);
  SUMI_CHECK(FT_Load_Glyph(p.face, drawn[0], FT_LOAD_COLOR) == 0, "{}: the glyph of{} cannot be read", p.name, named);
  const FT_Bitmap& bitmap = p.face->glyph->bitmap;
  Glyph out{.width = bitmap.width, .height = bitmap.rows, .pixels = {}};
  out.pixels.reserve(static_cast<size_t>(out.width * out.height * 4));
  for (int64_t y = 0; y < out.height; ++y) {
    const unsigned char* row = bitmap.buffer + y * bitmap.pitch;
    for (int64_t x = 0; x < out.width; ++x)
      out.pixels.insert(out.pixels.end(), {row[4 * x + 2], row[4 * x + 1], row[4 * x], row[4 * x + 3]});
  }
  return out;
}

std::filesystem::path default_emoji_font() { return "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"; }

}  // namespace sumi::tools
