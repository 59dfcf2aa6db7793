#include "image/read.h"

#include <webp/decode.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/check.h"
#include "image/jpeg.h"
#include "image/png.h"

namespace sumi::image {
namespace {

Image decode_webp(const std::vector<std::byte>& bytes, const std::string& name) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  int width = 0, height = 0;
  SUMI_CHECK(WebPGetInfo(data, bytes.size(), &width, &height) != 0, "{} is a broken WebP", name);
  check_pixels(width, height, name);
  Image image(width, height);
  SUMI_CHECK(WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), 3 * width) != nullptr,
             "{} is a broken WebP", name);
  return image;
}

bool begins_with(const std::vector<std::byte>& bytes, size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

}  // namespace

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::error_code error;  // a pipe or a device would be read for ever
  SUMI_CHECK_KIND(kNoInput, std::filesystem::is_regular_file(path, error), "{} is not a file", path.string());
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  SUMI_CHECK_KIND(kNoInput, file, "cannot read {}", path.string());
  constexpr std::streamoff kMaxFile = 512 << 20;
  const std::streamoff size = file.tellg();
  SUMI_CHECK(size >= 0 && size <= kMaxFile, "{} is not a picture file", path.string());
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  SUMI_CHECK_KIND(kIo, file, "{} could not be read whole", path.string());
  return bytes;
}

void check_pixels(int64_t width, int64_t height, const std::string& name) {
  SUMI_CHECK(width * height <= kMaxPixels, "{} is {}x{}; pictures over {} megapixels are not read", name, width, height,
             kMaxPixels >> 20);
}

bool is_picture_name(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  static constexpr std::array<std::string_view, 4> kEndings{".png", ".jpg", ".jpeg", ".webp"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

Image read_picture(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  if (begins_with(bytes, 0, "\x89PNG")) return decode_png(bytes, path.string()).image;
  if (begins_with(bytes, 0, "\xFF\xD8")) return decode_jpeg(bytes, path.string());
  if (begins_with(bytes, 0, "RIFF") && begins_with(bytes, 8, "WEBP")) return decode_webp(bytes, path.string());
  fail(ErrorKind::kData, "{} is no picture that sumi reads (PNG, JPEG, WebP)", path.string());
}

}  // namespace sumi::image
