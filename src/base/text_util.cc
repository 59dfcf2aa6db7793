#include "base/text_util.h"

namespace sumi {

std::optional<char32_t> decode_utf8(std::string_view text, size_t& position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[position + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    ++position;
    return first;
  }
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() - position < length) return std::nullopt;
  char32_t value = first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    value = value << 6 | (byte(i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return std::nullopt;
  position += length;
  return value;
}

std::optional<size_t> find_invalid_utf8(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    if (!decode_utf8(text, position)) return position;
  }
  return std::nullopt;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

void append_utf8(std::string& text, char32_t code_point) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto put_tail = [&](int shift) { put(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put_tail(0);
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put_tail(6);
    put_tail(0);
  } else {
    put(0xF0 | code_point >> 18);
    put_tail(12);
    put_tail(6);
    put_tail(0);
  }
}

std::string strip_control(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const std::optional<char32_t> code_point = decode_utf8(text, position);
    if (!code_point) {
      append_utf8(result, 0xFFFD);
      ++position;
    } else if (*code_point == '\n' || *code_point == '\r' || *code_point == '\t') {
      result.push_back(' ');
    } else if (*code_point >= 0x20 && (*code_point < 0x7F || *code_point > 0x9F)) {
      append_utf8(result, *code_point);
    }
  }
  return result;
}

std::string shorten(std::string_view text, size_t bytes, std::string_view ending) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (text[bytes] & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes)).append(ending);
}

std::string excerpt(std::string_view text) {
  constexpr size_t kMost = 200;
  // Only as much as may be shown is looked at; one character has at most four bytes.
  const std::string printable = strip_control(text.substr(0, 8 * kMost));
  size_t end = 0, count = 0;
  while (end < printable.size() && count < kMost) {
    decode_utf8(printable, end);
    ++count;
  }
  return end == printable.size() && text.size() <= 8 * kMost ? printable : printable.substr(0, end) + "…";
}

std::string abridged(std::string_view sentence) {
  constexpr size_t kMost = 4000, kKept = 200;  // lists of tensors that do not fit have up to 3000
  if (sentence.size() <= kMost) return std::string(sentence);
  size_t tail = sentence.size() - kKept;
  while (tail < sentence.size() && (sentence[tail] & 0xC0) == 0x80) ++tail;
  return shorten(sentence, kKept, " … ").append(sentence.substr(tail));
}

}  // namespace sumi
