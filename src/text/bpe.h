// Byte-pair encoding of one word, as in CLIP: a word is its bytes, the last of them marked, and the pair that was the
// most frequent in training is joined first (Sennrich et al. 2016; Radford et al. 2019 for the bytes).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/bpe_files.h"

namespace sumi::text {

// How the files mark a token that ends a word.
inline constexpr const char* kWordEnd = "</w>";

// The files spell each byte as a printable character: itself where it is one, else U+0100 and on, in order.
std::array<std::string, 256> byte_spellings();

class Bpe {
 public:
  // Throws Error where a text is broken (bpe_files.h), a merge names an unknown token, or a byte has no token.
  static Bpe parse(const TokenizerText& text);

  // Appends the ids of `word`, which is not split further. Time n log n in its bytes.
  void append(std::string_view word, std::vector<int64_t>& ids) const;

  std::optional<int64_t> find(const std::string& token) const;
  int64_t size() const { return static_cast<int64_t>(vocabulary_.size()); }

 private:
  struct Merge {
    int32_t rank;    // smaller ranks are joined first
    int32_t result;  // id of the joined token
  };
  const Merge* find_merge(int32_t left, int32_t right) const;

  Vocabulary vocabulary_;
  std::array<int32_t, 256> inner_{};  // id of a byte inside a word
  std::array<int32_t, 256> last_{};   // id of a byte that ends a word
  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace sumi::text
