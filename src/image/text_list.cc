#include "image/text_list.h"

#include <algorithm>

#include "base/text_util.h"

namespace sumi::image {

std::string utf8_of(std::string_view text) {
  if (!find_invalid_utf8(text)) return std::string(text);
  std::string out;
  for (const char c : text) append_utf8(out, static_cast<unsigned char>(c));
  return out;
}

namespace {

// Of utf8_of(text), without making it: a letter of Latin-1 beyond ASCII takes two bytes.
size_t utf8_bytes(std::string_view text) {
  if (!find_invalid_utf8(text)) return text.size();
  const auto beyond =
      std::count_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 127; });
  return text.size() + static_cast<size_t>(beyond);
}

}  // namespace

size_t TextList::room() const { return std::min(kMostBytes, kMostBytesInAll - bytes_); }

void TextList::add(std::string_view key, std::string_view text) {
  if (text.size() > room()) return;
  const size_t bytes = utf8_bytes(text);
  if (bytes > room() || key.size() + bytes > kMostBytesInAll - bytes_) return;
  bytes_ += key.size() + bytes;
  texts_.emplace_back(key, utf8_of(text));
}

}  // namespace sumi::image
