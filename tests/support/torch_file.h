// Torch checkpoints written byte by byte, so that a test can corrupt any byte.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sumi::test {

inline std::string little_endian(uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

// One zip entry; fields that are set replace the correct values.
struct ZipPart {
  std::string name, data;
  uint16_t method = 0, flags = 0;
  std::optional<uint32_t> crc, local_size, central_size, central_packed, offset;
  std::optional<std::string> local_name;
  std::string local_extra, central_extra;
  bool only_listed = false;  // in the directory, at `offset`, without bytes of its own
};

struct ZipEnd {
  std::optional<uint32_t> entries, size, offset;
  std::string before;  // put between directory and end record: a zip64 record and its locator
  std::string comment;
};

inline std::string zip(const std::vector<ZipPart>& parts, const ZipEnd& end = {}) {
  std::string file, directory;
  for (const ZipPart& p : parts) {
    const auto size = static_cast<uint32_t>(p.data.size());
    const auto crc =
        p.crc.value_or(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(p.data.data()), size)));
    const auto offset = p.offset.value_or(static_cast<uint32_t>(file.size()));
    if (!p.only_listed) {
      const std::string& name = p.local_name ? *p.local_name : p.name;
      file += "PK\x03\x04" + little_endian(20, 2) + little_endian(p.flags, 2) + little_endian(p.method, 2) +
              std::string(4, '\0') + little_endian(crc, 4) + little_endian(p.local_size.value_or(size), 4) +
              little_endian(p.local_size.value_or(size), 4) + little_endian(name.size(), 2) +
              little_endian(p.local_extra.size(), 2) + name + p.local_extra + p.data;
    }
    directory += "PK\x01\x02" + little_endian(20, 2) + little_endian(20, 2) + little_endian(p.flags, 2) +
                 little_endian(p.method, 2) + std::string(4, '\0') + little_endian(crc, 4) +
                 little_endian(p.central_packed.value_or(p.central_size.value_or(size)), 4) +
                 little_endian(p.central_size.value_or(size), 4) + little_endian(p.name.size(), 2) +
                 little_endian(p.central_extra.size(), 2) + std::string(10, '\0') + little_endian(offset, 4) + p.name +
                 p.central_extra;
  }
  const size_t at = file.size();
  return file + directory + end.before + "PK\x05\x06" + std::string(4, '\0') +
         little_endian(end.entries.value_or(static_cast<uint32_t>(parts.size())), 2) +
         little_endian(end.entries.value_or(static_cast<uint32_t>(parts.size())), 2) +
         little_endian(end.size.value_or(static_cast<uint32_t>(directory.size())), 4) +
         little_endian(end.offset.value_or(static_cast<uint32_t>(at)), 4) + little_endian(end.comment.size(), 2) +
         end.comment;
}

// The pieces of a pickle of protocol 2.
namespace pickle {

inline std::string text(std::string_view s) { return "X" + little_endian(s.size(), 4) + std::string(s); }
inline std::string integer(int64_t value) {
  if (value >= INT32_MIN && value <= INT32_MAX) return "J" + little_endian(static_cast<uint64_t>(value), 4);
  return std::string("\x8a\x08") + little_endian(static_cast<uint64_t>(value), 8);
}
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string integers(const std::vector<int64_t>& values) {
  std::string code = "(";
  for (const int64_t value : values) code += integer(value);
  return code + "t";
}

struct TensorCode {
  std::vector<int64_t> sizes, strides;
  std::string storage_class = "FloatStorage", key = "0";
  int64_t stored = 6, offset = 0;
};

inline std::string storage(const TensorCode& t) {
  return std::string("(") + text("storage") + global("torch", t.storage_class) + text(t.key) + text("cpu") +
         integer(t.stored) + "tQ";
}
inline std::string tensor(const TensorCode& t) {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage(t) + integer(t.offset) + integers(t.sizes) +
         integers(t.strides) + "\x89" + global("collections", "OrderedDict") + ")RtR";
}

// A dictionary of names and their values' pickle codes.
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string code = "}(";
  for (const auto& [key, value] : entries) code += text(key) + value;
  return code + "u";
}
inline std::string whole(const std::string& code) { return "\x80\x02" + code + "."; }

}  // namespace pickle

// The checkpoint of a pickle and its storages ("0" is six zeros of float unless others are given).
inline std::vector<ZipPart> torch_parts(const std::string& data_pkl,
                                        const std::vector<std::pair<std::string, std::string>>& storages = {
                                            {"0", std::string(24, '\0')}}) {
  std::vector<ZipPart> parts{{.name = "archive/data.pkl", .data = data_pkl}};
  for (const auto& [key, bytes] : storages) parts.push_back({.name = "archive/data/" + key, .data = bytes});
  parts.push_back({.name = "archive/version", .data = "3\n"});
  return parts;
}

}  // namespace sumi::test
