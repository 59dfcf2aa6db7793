#include "image/file_texts.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/text_util.h"
#include "image/exif.h"
#include "image/metadata.h"
#include "image/read.h"
#include "image/text_list.h"

namespace sumi::image {
namespace {

constexpr std::string_view kPng = "\x89PNG", kJpeg = "\xff\xd8";

std::string_view chars_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_webp(std::string_view file) {
  return file.starts_with("RIFF") && file.size() >= 12 && file.substr(8, 4) == "WEBP";
}

// Whether UTF-16 has its low bytes first: as a byte order mark says; else by its zeros, the high bytes of ASCII; else
// as the block around it.
bool is_little_utf16(std::string_view bytes, bool block_is_little) {
  if (bytes.starts_with("\xff\xfe")) return true;
  if (bytes.starts_with("\xfe\xff")) return false;
  size_t first_zeros = 0, second_zeros = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    first_zeros += bytes[i] == 0 ? 1 : 0;
    second_zeros += bytes[i + 1] == 0 ? 1 : 0;
  }
  return first_zeros == second_zeros ? block_is_little : second_zeros > first_zeros;
}

std::string utf16_of(std::string_view bytes, bool block_is_little) {
  const bool little = is_little_utf16(bytes, block_is_little);
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
    if (code == 0xFEFF && i == 0) continue;
    append_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
  }
  return out;
}

std::string_view without_end(std::string_view text) {
  while (text.ends_with('\0')) text.remove_suffix(1);
  return text;
}

// Cameras fill the place of a comment with spaces.
bool says_something(std::string_view text) { return text.find_first_not_of(' ') != std::string_view::npos; }

void take_comment(std::string_view bytes, bool block_is_little, TextList& list) {
  constexpr size_t kKind = 8;  // bytes that name the encoding
  // Two bytes of UTF-16 may become one.
  if (bytes.size() < kKind || bytes.size() > kKind + 2 * TextList::kMostBytes) return;
  std::string converted;
  std::string_view text = bytes.substr(kKind);
  if (bytes.starts_with("UNICODE")) text = converted = utf16_of(text, block_is_little);
  text = without_end(text);
  if (says_something(text)) list.add(kParametersKey, text);
}

void take_camera_field(std::string_view text, TextList& list) {
  for (const std::string_view key : {"prompt", "workflow"}) {
    if (text.starts_with(key) && text.substr(key.size()).starts_with(':'))
      list.add(key, without_end(text.substr(key.size() + 1)));
  }
}

// The entries of the first directory and of the one for photographs.
std::vector<ExifEntry> entries_of(const Exif& exif) {
  constexpr uint32_t kPhoto = 0x8769;
  std::vector<ExifEntry> entries = exif.first_directory();
  const auto photo = std::find_if(entries.begin(), entries.end(), [](const ExifEntry& e) { return e.tag == kPhoto; });
  if (photo == entries.end()) return entries;
  const std::vector<ExifEntry> more = exif.directory(exif.number(photo->value, 4).value_or(0));
  entries.insert(entries.end(), more.begin(), more.end());
  return entries;
}

// The first entry of each tag: any number of them may point at the same bytes.
void read_exif(std::string_view block, TextList& list) {
  constexpr uint32_t kComment = 0x9286, kDescription = 0x010e, kMake = 0x010f, kModel = 0x0110;
  const Exif exif(block);
  std::vector<uint32_t> wanted{kComment, kDescription, kMake, kModel};
  for (const ExifEntry& entry : entries_of(exif)) {
    if (std::erase(wanted, entry.tag) == 0) continue;
    const std::string_view bytes = exif.bytes_of(entry);
    if (entry.tag == kComment) {
      take_comment(bytes, exif.is_little(), list);
    } else {
      take_camera_field(bytes, list);
    }
  }
}

uint32_t big16(std::string_view file, size_t at) {
  return static_cast<uint32_t>(static_cast<unsigned char>(file[at]) << 8 | static_cast<unsigned char>(file[at + 1]));
}

// Segments up to the first scan. Any number of bytes 0xFF may fill the place before a marker.
void read_jpeg(std::string_view file, TextList& list) {
  constexpr unsigned char kScan = 0xda, kApp1 = 0xe1, kFill = 0xff;
  for (size_t at = 2; at + 4 <= file.size() && file[at] == '\xff';) {
    const auto marker = static_cast<unsigned char>(file[at + 1]);
    if (marker == kFill) {
      ++at;
      continue;
    }
    const size_t size = big16(file, at + 2);
    if (marker == kScan || size < 2 || size > file.size() - at - 2) return;
    const std::string_view segment = file.substr(at + 4, size - 2);
    if (marker == kApp1 && segment.starts_with("Exif")) read_exif(segment, list);
    if (!list.texts().empty()) return;
    at += 2 + size;
  }
}

void read_webp(std::string_view file, TextList& list) {
  for (size_t at = 12; at + 8 <= file.size() && list.texts().empty();) {
    size_t size = 0;
    for (size_t i = 4; i-- > 0;) size = size << 8 | static_cast<unsigned char>(file[at + 4 + i]);
    if (size > file.size() - at - 8) return;
    if (file.substr(at, 4) == "EXIF") read_exif(file.substr(at + 8, size), list);
    at += 8 + size + size % 2;
  }
}

// Of a JPEG or WebP; none of another file.
std::vector<PngText> exif_texts(std::string_view file) {
  TextList list;
  if (file.starts_with(kJpeg)) read_jpeg(file, list);
  if (is_webp(file)) read_webp(file, list);
  return list.texts();
}

}  // namespace

std::vector<PngText> read_texts(std::span<const std::byte> file, const std::string& name) {
  const std::string_view chars = chars_of(file);
  if (chars.starts_with(kPng)) return decode_png(file, name).texts;
  SUMI_CHECK(chars.starts_with(kJpeg) || is_webp(chars),
             "{}: is no PNG, JPEG or WebP, which may carry the settings of a picture", name);
  return exif_texts(chars);
}

const std::string* parameters_in(const std::vector<PngText>& texts) {
  for (const auto& [key, text] : texts) {
    if (key == kParametersKey && !text.empty()) return &text;
  }
  return nullptr;
}

PictureWithTexts read_with_texts(const std::filesystem::path& file, const std::string& name) {
  const std::vector<std::byte> bytes = read_file({.path = file});
  const std::string shown = name.empty() ? file.string() : name;
  if (!chars_of(bytes).starts_with(kPng)) return {decode_picture(bytes, shown), exif_texts(chars_of(bytes))};
  Png png = decode_png(bytes, shown);
  return {std::move(png.image), std::move(png.texts)};
}

}  // namespace sumi::image
