// Words of a prompt that stand for ids of their own: tokens added to a vocabulary, and the vectors of textual
// inversion.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sumi::text {

// What a word stands for: `count` ids from `first` on.
struct AddedWord {
  std::string word;
  int64_t first = 0, count = 1;
  bool whole = false;     // only where no letter, digit or underscore stands beside it
  bool any_case = false;  // of its ASCII letters
};

// Whether it stands in the text there.
bool stands_at(const AddedWord& word, std::string_view text, size_t at);
// Of an ASCII letter; other bytes stay.
char lower_ascii(char c);

class AddedWords {
 public:
  void add(AddedWord word);
  bool empty() const { return words_.empty(); }
  const std::vector<AddedWord>& words() const { return words_; }

  struct Found {
    size_t begin = std::string_view::npos, end = std::string_view::npos;  // in the text
    const AddedWord* word = nullptr;                                      // null: there is none
  };
  // The first at or after `from`, the longest where several begin there. Time: the text up to it times the words that
  // begin with one byte.
  Found find(std::string_view text, size_t from) const;

 private:
  std::vector<AddedWord> words_;
  std::array<std::vector<size_t>, 256> by_first_byte_;  // in words_, the longest first
};

}  // namespace sumi::text
