#include "image/webp.h"

#include <webp/encode.h>

#include <cstdint>
#include <memory>

#include "base/check.h"
#include "image/check_written.h"
#include "image/exif_comment.h"

namespace sumi::image {
namespace {

constexpr size_t kFileHead = 12;  // "RIFF", the size of the rest, "WEBP"

void append_little(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

void append_chunk(std::string& out, std::string_view name, std::string_view data) {
  out += name;
  append_little(out, static_cast<uint32_t>(data.size()), 4);
  out += data;
  if (data.size() % 2 != 0) out += '\0';
}

// The extended form of a simple file: a head with the picture's size, the picture's chunk, the Exif.
// (RFC 9649, section 2.7)
std::string with_exif(const std::string& file, const Image& image, const std::string& exif) {
  constexpr uint32_t kHasExif = 0x08;
  std::string head, chunks = "WEBP";
  append_little(head, kHasExif, 4);
  append_little(head, static_cast<uint32_t>(image.width - 1), 3);
  append_little(head, static_cast<uint32_t>(image.height - 1), 3);
  append_chunk(chunks, "VP8X", head);
  chunks += file.substr(kFileHead);
  append_chunk(chunks, "EXIF", exif);
  std::string out;
  append_chunk(out, "RIFF", chunks);
  return out;
}

}  // namespace

std::string encode_webp(const Image& image, int quality, std::string_view parameters) {
  check_written(image, quality, {.name = "WebP", .most_side = kMostWebpSide, .instead = "PNG or JPEG"});
  uint8_t* bytes = nullptr;
  const size_t size = WebPEncodeRGB(image.pixels.data(), static_cast<int>(image.width), static_cast<int>(image.height),
                                    static_cast<int>(3 * image.width), static_cast<float>(quality), &bytes);
  const std::unique_ptr<uint8_t, void (*)(void*)> owner(bytes, WebPFree);
  SUMI_CHECK_KIND(kUnavailable, size > kFileHead, "the WebP could not be made: out of memory");
  const std::string file(reinterpret_cast<const char*>(bytes), size);
  return parameters.empty() ? file : with_exif(file, image, exif_comment(parameters));
}

}  // namespace sumi::image
