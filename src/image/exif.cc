#include "image/exif.h"

namespace sumi::image {
namespace {

constexpr std::string_view kJpegMark("Exif\0\0", 6);

std::string_view without_mark(std::string_view block) {
  return block.starts_with(kJpegMark) ? block.substr(kJpegMark.size()) : block;
}

}  // namespace

Exif::Exif(std::string_view block) : block_(without_mark(block)), little_(block_.starts_with("II")) {
  if (block_.size() < 8 || (!little_ && !block_.starts_with("MM"))) block_ = {};
}

std::vector<ExifEntry> Exif::first_directory() const {
  const auto offset = number(4, 4);
  return offset ? directory(*offset) : std::vector<ExifEntry>();
}

std::vector<ExifEntry> Exif::directory(size_t offset) const {
  std::vector<ExifEntry> entries;
  const uint32_t count = number(offset, 2).value_or(0);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = offset + 2 + 12 * i;
    if (!number(at + 8, 4)) break;
    entries.push_back(
        {.tag = *number(at, 2), .type = *number(at + 2, 2), .count = *number(at + 4, 4), .value = at + 8});
  }
  return entries;
}

std::optional<uint32_t> Exif::number(size_t at, size_t bytes) const {
  if (at > block_.size() || bytes > block_.size() - at) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(block_[at + (little_ ? bytes - 1 - i : i)]);
  return value;
}

std::string_view Exif::bytes_of(const ExifEntry& entry) const {
  constexpr uint32_t kByte = 1, kAscii = 2, kUndefined = 7;
  if (entry.type != kByte && entry.type != kAscii && entry.type != kUndefined) return {};
  const size_t begin = entry.count <= 4 ? entry.value : number(entry.value, 4).value_or(0);
  if (begin > block_.size() || entry.count > block_.size() - begin) return {};
  return block_.substr(begin, entry.count);
}

}  // namespace sumi::image
