#include "app/server/picture_head.h"

#include <algorithm>

namespace sumi::app {
namespace {

unsigned byte_at(std::string_view file, size_t at) { return static_cast<unsigned char>(file[at]); }

int64_t big(std::string_view file, size_t at, size_t bytes) {
  int64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | byte_at(file, at + i);
  return value;
}
int64_t little(std::string_view file, size_t at, size_t bytes) {
  int64_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | byte_at(file, at + i);
  return value;
}

// Of a name that may be a chunk's: where it is something else, the picture is decoded for nothing, and no more.
bool has(std::string_view file, std::string_view name) { return file.find(name) != std::string_view::npos; }

// PNG, third edition, section 11.2.1: IHDR comes first.
std::optional<PictureHead> png_head(std::string_view file) {
  constexpr size_t kWidth = 16, kHeight = 20, kColour = 25;
  constexpr unsigned kOpacity = 4;  // a bit of the colour type
  if (file.size() <= kColour || file.substr(12, 4) != "IHDR") return {};
  return PictureHead{.width = big(file, kWidth, 4),
                     .height = big(file, kHeight, 4),
                     .may_be_turned = has(file, "eXIf"),
                     .may_be_see_through = (byte_at(file, kColour) & kOpacity) != 0 || has(file, "tRNS")};
}

// ITU-T T.81, annex B: segments up to the frame's, which has the size.
std::optional<PictureHead> jpeg_head(std::string_view file) {
  for (size_t at = 2; at + 9 <= file.size();) {
    const unsigned marker = byte_at(file, at + 1);
    if (byte_at(file, at) != 0xFF) return {};
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame)
      return PictureHead{.width = big(file, at + 7, 2),
                         .height = big(file, at + 5, 2),
                         .may_be_turned = has(file, "Exif"),
                         .may_be_see_through = false};
    if (marker < 0xC0 || (marker >= 0xD0 && marker <= 0xDA)) return {};  // not before a frame
    at += 2 + static_cast<size_t>(std::max<int64_t>(2, big(file, at + 2, 2)));
  }
  return {};
}

// RFC 9649: one of three chunks comes first.
std::optional<PictureHead> webp_head(std::string_view file) {
  constexpr size_t kName = 12, kData = 20;
  constexpr int64_t kSide = 0x3FFF;  // 14 bits
  if (file.size() < kData + 10) return {};
  const std::string_view name = file.substr(kName, 4);
  PictureHead head{.may_be_turned = has(file, "EXIF")};
  if (name == "VP8X") {
    head.width = little(file, kData + 4, 3) + 1;
    head.height = little(file, kData + 7, 3) + 1;
  } else if (name == "VP8L") {
    const int64_t bits = little(file, kData + 1, 4);
    head.width = (bits & kSide) + 1;
    head.height = (bits >> 14 & kSide) + 1;
  } else if (name == "VP8 ") {
    head.width = little(file, kData + 6, 2) & kSide;
    head.height = little(file, kData + 8, 2) & kSide;
    head.may_be_see_through = false;
  } else {
    return {};
  }
  return head;
}

}  // namespace

std::optional<PictureHead> picture_head(std::string_view file) {
  std::optional<PictureHead> head;
  if (file.starts_with("\x89PNG")) head = png_head(file);
  if (file.starts_with("\xFF\xD8")) head = jpeg_head(file);
  if (file.starts_with("RIFF") && file.substr(std::min<size_t>(8, file.size())).starts_with("WEBP"))
    head = webp_head(file);
  const auto fine = [](int64_t side) { return side > 0 && side <= INT32_MAX; };  // a PNG's bound
  return head && fine(head->width) && fine(head->height) ? head : std::nullopt;
}

}  // namespace sumi::app
