// PNG files of any kind, made chunk by chunk.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sumi::test {

inline std::string big_endian(uint64_t value, int width) {
  std::string bytes;
  for (int i = width - 1; i >= 0; --i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

inline std::string png_chunk(const std::string& name, const std::string& data) {
  const std::string body = name + data;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(data.size(), 4) + body + big_endian(sum, 4);
}

struct MadePng {
  uint32_t width = 1, height = 1;
  int depth = 8, colour_type = 6;  // 0 gray, 2 RGB, 3 palette, 4 gray and opacity, 6 RGBA
  std::string pixels;              // the rows, without the filters' bytes
  std::vector<std::pair<std::string, std::string>> before = {}, after = {};  // chunks around the pixels
};

inline std::string made_png(const MadePng& p) {
  std::string raw, file = "\x89PNG\r\n\x1a\n";
  const size_t row = p.pixels.size() / p.height;
  for (uint32_t y = 0; y < p.height; ++y) raw += '\0' + p.pixels.substr(y * row, row);
  std::string packed(compressBound(static_cast<uLong>(raw.size())), '\0');
  uLongf size = static_cast<uLongf>(packed.size());
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
           static_cast<uLong>(raw.size()));
  packed.resize(size);
  file += png_chunk("IHDR", big_endian(p.width, 4) + big_endian(p.height, 4) + static_cast<char>(p.depth) +
                                static_cast<char>(p.colour_type) + std::string(3, '\0'));
  for (const auto& [name, data] : p.before) file += png_chunk(name, data);
  file += png_chunk("IDAT", packed);
  for (const auto& [name, data] : p.after) file += png_chunk(name, data);
  return file + png_chunk("IEND", "");
}

}  // namespace sumi::test
