// The texts of one picture file, with a bound on the memory that they take.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "image/png.h"

namespace sumi::image {

// `text`, or where it is not UTF-8 its bytes as Latin-1: what PNG's tEXt and Exif's ASCII are by their standards.
std::string utf8_of(std::string_view text);

// Texts in UTF-8, no more of them than a file of a program that draws pictures has.
class TextList {
 public:
  static constexpr size_t kMostBytes = 4 << 20;       // of one text
  static constexpr size_t kMostBytesInAll = 8 << 20;  // with their keys

  // How many bytes the next text may have.
  size_t room() const;
  // Keeps the text as UTF-8, unless it is larger than the room is then.
  void add(std::string_view key, std::string_view text);

  const std::vector<PngText>& texts() const { return texts_; }

 private:
  std::vector<PngText> texts_;
  size_t bytes_ = 0;
};

}  // namespace sumi::image
