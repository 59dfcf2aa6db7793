#include "image/file_texts.h"

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "base/text_util.h"
#include "image/metadata.h"

namespace sumi::image {
namespace {

constexpr size_t kMostText = 4 << 20, kMostEntries = 200;

std::string_view chars_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// PNG's tEXt and Exif's ASCII are Latin-1 where they are not UTF-8.
std::string utf8_of(std::string_view text) {
  if (!find_invalid_utf8(text)) return std::string(text);
  std::string out;
  for (const char c : text) append_utf8(out, static_cast<unsigned char>(c));
  return out;
}

// UTF-16 with the byte order that makes more sense of its first characters: programs write both.
std::string utf16_of(std::string_view bytes) {
  size_t first_zero = 0, second_zero = 0;
  for (size_t i = 0; i + 1 < bytes.size() && i < 256; i += 2) {
    first_zero += bytes[i] == 0 ? 1 : 0;
    second_zero += bytes[i + 1] == 0 ? 1 : 0;
  }
  const bool little = second_zero > first_zero;
  const auto unit = [&](size_t i) {
    const auto a = static_cast<unsigned char>(bytes[i]), b = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<uint32_t>(little ? b << 8 | a : a << 8 | b);
  };
  std::string out;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint32_t code = unit(i);
    if (code >= 0xD800 && code < 0xDC00 && i + 3 < bytes.size() && unit(i + 2) >= 0xDC00 && unit(i + 2) < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
      i += 2;
    }
    if (code == 0xFEFF) continue;
    append_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
  }
  return out;
}

// A directory of Exif (TIFF 6.0, section 2), whose offsets count from the block's beginning.
class Exif {
 public:
  explicit Exif(std::string_view block) : block_(block), little_(block.starts_with("II")) {}

  // visit(tag, bytes) for each entry of the first directory and of the one for photographs.
  template <class Visit> void visit(Visit&& visit) const {
    if (block_.size() < 8 || (!little_ && !block_.starts_with("MM"))) return;
    std::optional<uint32_t> photo;
    visit_directory(number(4, 4), [&](uint32_t tag, std::string_view bytes, uint32_t value) {
      if (tag == 0x8769) photo = value;
      visit(tag, bytes);
    });
    visit_directory(photo, [&](uint32_t tag, std::string_view bytes, uint32_t) { visit(tag, bytes); });
  }

 private:
  std::optional<uint32_t> number(size_t at, size_t count) const {
    if (at > block_.size() || count > block_.size() - at) return std::nullopt;
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i)
      value = value << 8 | static_cast<unsigned char>(block_[at + (little_ ? count - 1 - i : i)]);
    return value;
  }

  template <class Visit> void visit_directory(std::optional<uint32_t> at, Visit&& visit) const {
    const auto entries = at ? number(*at, 2) : std::nullopt;
    for (size_t i = 0; entries && i < *entries && i < kMostEntries; ++i) {
      const size_t entry = size_t{*at} + 2 + 12 * i;
      const auto tag = number(entry, 2), type = number(entry + 2, 2), count = number(entry + 4, 4);
      const auto value = number(entry + 8, 4);
      if (!value) return;
      const bool bytes = *type == 1 || *type == 2 || *type == 7;
      const size_t begin = *count <= 4 ? entry + 8 : *value;
      if (bytes && begin <= block_.size() && *count <= block_.size() - begin)
        visit(*tag, block_.substr(begin, *count), *value);
      if (!bytes) visit(*tag, std::string_view(), *value);
    }
  }

  std::string_view block_;
  bool little_;
};

std::string comment_of(std::string_view bytes) {
  if (bytes.size() < 8) return "";
  const std::string_view kind = bytes.substr(0, 8), text = bytes.substr(8);
  return kind.starts_with("UNICODE") ? utf16_of(text) : utf8_of(text);
}

std::string without_end(std::string text) {
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

void read_exif(std::string_view block, std::vector<PngText>& texts) {
  if (block.starts_with(std::string_view("Exif\0\0", 6))) block.remove_prefix(6);
  Exif(block).visit([&](uint32_t tag, std::string_view bytes) {
    if (bytes.size() > kMostText) return;
    if (tag == 0x9286) texts.emplace_back(kParametersKey, without_end(comment_of(bytes)));
    if (tag != 0x010e && tag != 0x010f && tag != 0x0110) return;  // description, make, model
    const std::string text = without_end(utf8_of(bytes));
    for (const char* key : {"prompt", "workflow"}) {
      const std::string mark = std::string(key) + ":";
      if (text.starts_with(mark)) texts.emplace_back(key, text.substr(mark.size()));
    }
  });
}

uint32_t big16(std::string_view file, size_t at) {
  return static_cast<uint32_t>(static_cast<unsigned char>(file[at]) << 8 | static_cast<unsigned char>(file[at + 1]));
}

// Segments up to the first scan.
void read_jpeg(std::string_view file, std::vector<PngText>& texts) {
  for (size_t at = 2; at + 4 <= file.size() && file[at] == '\xff';) {
    const auto marker = static_cast<unsigned char>(file[at + 1]);
    const size_t size = big16(file, at + 2);
    if (marker == 0xda || size < 2 || size > file.size() - at - 2) return;
    const std::string_view segment = file.substr(at + 4, size - 2);
    if (marker == 0xe1 && segment.starts_with("Exif")) read_exif(segment, texts);
    at += 2 + size;
  }
}

void read_webp(std::string_view file, std::vector<PngText>& texts) {
  for (size_t at = 12; at + 8 <= file.size();) {
    size_t size = 0;
    for (size_t i = 4; i-- > 0;) size = size << 8 | static_cast<unsigned char>(file[at + 4 + i]);
    if (size > file.size() - at - 8) return;
    if (file.substr(at, 4) == "EXIF") read_exif(file.substr(at + 8, size), texts);
    at += 8 + size + size % 2;
  }
}

}  // namespace

std::vector<PngText> read_texts(std::span<const std::byte> file, const std::string& name) {
  const std::string_view chars = chars_of(file);
  std::vector<PngText> texts;
  if (chars.starts_with("\x89PNG")) {
    for (auto& [key, text] : decode_png(file, name).texts) texts.emplace_back(key, utf8_of(text));
  } else if (chars.starts_with("\xff\xd8")) {
    read_jpeg(chars, texts);
  } else if (chars.starts_with("RIFF") && chars.size() >= 12 && chars.substr(8, 4) == "WEBP") {
    read_webp(chars, texts);
  } else {
    fail(ErrorKind::kData, "{}: is no PNG, JPEG or WebP, which may carry the settings of a picture", name);
  }
  return texts;
}

}  // namespace sumi::image
