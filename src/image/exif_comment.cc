#include "image/exif_comment.h"

#include <cstdint>

#include "base/text_util.h"

namespace sumi::image {
namespace {

// High bytes first, as "MM" says.
void append_number(std::string& out, uint32_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

void append_utf16(std::string& out, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto code = decode_utf8(text, at);
    if (!code) ++at;
    const uint32_t point = code.value_or(0xFFFD);
    if (point < 0x10000) {
      append_number(out, point, 2);
    } else {
      append_number(out, 0xD800 + ((point - 0x10000) >> 10), 2);
      append_number(out, 0xDC00 + ((point - 0x10000) & 0x3FF), 2);
    }
  }
}

// A directory of one entry.
void append_directory(std::string& out, uint32_t tag, uint32_t type, uint32_t count, uint32_t value) {
  append_number(out, 1, 2);
  append_number(out, tag, 2);
  append_number(out, type, 2);
  append_number(out, count, 4);
  append_number(out, value, 4);
  append_number(out, 0, 4);  // no next one
}

}  // namespace

std::string exif_comment(std::string_view text) {
  constexpr uint32_t kPhoto = 0x8769, kComment = 0x9286, kLong = 4, kUndefined = 7;
  constexpr uint32_t kHead = 8, kDirectory = 2 + 12 + 4;
  std::string comment("UNICODE\0", 8);
  append_utf16(comment, text);
  std::string out = "MM";
  append_number(out, 42, 2);
  append_number(out, kHead, 4);
  append_directory(out, kPhoto, kLong, 1, kHead + kDirectory);
  append_directory(out, kComment, kUndefined, static_cast<uint32_t>(comment.size()), kHead + 2 * kDirectory);
  return out + comment;
}

}  // namespace sumi::image
