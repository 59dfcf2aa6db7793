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

size_t TextList::room() const { return std::min(kMostBytes, kMostBytesInAll - bytes_); }

void TextList::add(std::string_view key, std::string_view text) {
  if (text.size() > room()) return;
  std::string converted = utf8_of(text);
  if (converted.size() > room() || key.size() + converted.size() > kMostBytesInAll - bytes_) return;
  bytes_ += key.size() + converted.size();
  texts_.emplace_back(key, std::move(converted));
}

}  // namespace sumi::image
