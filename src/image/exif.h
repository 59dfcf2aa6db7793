// Exif blocks: the directories of TIFF files (TIFF 6.0, section 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sumi::image {

struct ExifEntry {
  uint32_t tag, type, count;
  size_t value;  // where in the block its four bytes are: the value, or the offset of a longer one
};

// Reads any bytes. The block must outlive it.
class Exif {
 public:
  // With or without the "Exif\0\0" that JPEG puts before the block.
  explicit Exif(std::string_view block);

  bool is_little() const { return little_; }  // the byte order of its numbers

  // The entries of the first directory, and of the one at an offset, as far as they lie in the block. None where it
  // does not begin as a TIFF file.
  std::vector<ExifEntry> first_directory() const;
  std::vector<ExifEntry> directory(size_t offset) const;

  // The number in the `bytes` (at most 4) bytes from `at` on; nullopt outside of the block.
  std::optional<uint32_t> number(size_t at, size_t bytes) const;

  // The value of an entry whose type is bytes, ASCII or undefined; empty for other types and outside of the block.
  std::string_view bytes_of(const ExifEntry& entry) const;

 private:
  std::string_view block_;
  bool little_;
};

}  // namespace sumi::image
