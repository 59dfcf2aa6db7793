// A small made-up tokenizer in the format of CLIP's two files.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"

namespace sumi::test {

// The file's spelling of a byte.
inline std::string spell_byte(int byte) {
  int code = byte;
  if (!((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD))) {
    code = 256;
    for (int other = 0; other < byte; ++other) {
      if (!((other >= 0x21 && other <= 0x7E) || (other >= 0xA1 && other != 0xAD))) ++code;
    }
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// Ids: byte b is b, byte b at a word's end 256 + b, then the merges below in order, then the two marks: 523 tokens.
inline constexpr int kMadeUpStart = 521, kMadeUpEnd = 522;
inline constexpr std::pair<const char*, const char*> kMadeUpMerges[] = {
    {"c", "a"},      {"t", "s</w>"}, {"ca", "t</w>"}, {"ca", "ts</w>"}, {"d", "o"},
    {"do", "g</w>"}, {"a", "a"},     {"aa", "aa"},    {"aa", "a</w>"}};

inline nlohmann::json made_up_vocabulary() {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[spell_byte(byte)] = byte;
    vocabulary[spell_byte(byte) + "</w>"] = 256 + byte;
  }
  for (const auto& [left, right] : kMadeUpMerges) vocabulary[std::string(left) + right] = vocabulary.size();
  vocabulary["<|startoftext|>"] = kMadeUpStart;
  vocabulary["<|endoftext|>"] = kMadeUpEnd;
  return vocabulary;
}

inline std::string made_up_merges(const std::string& line_end = "\n") {
  std::string text = "#version: 0.2" + line_end;
  for (const auto& [left, right] : kMadeUpMerges) text += std::string(left) + " " + right + line_end;
  return text;
}

inline void write_made_up_tokenizer(const std::filesystem::path& folder) {
  write_file(folder / "vocab.json", made_up_vocabulary().dump());
  write_file(folder / "merges.txt", made_up_merges());
}

}  // namespace sumi::test
