#include "text/added_words.h"

#include <algorithm>
#include <utility>

namespace sumi::text {
namespace {

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c + 'A' - 'a') : c; }

// Bytes above ASCII count as letters.
bool is_word(char c) {
  return (c >= '0' && c <= '9') || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

}  // namespace

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; }

bool stands_at(const AddedWord& word, std::string_view text, size_t at) {
  if (at > text.size() || text.size() - at < word.word.size()) return false;
  for (size_t i = 0; i < word.word.size(); ++i) {
    const char a = text[at + i], b = word.word[i];
    if (a != b && !(word.any_case && lower_ascii(a) == lower_ascii(b))) return false;
  }
  if (!word.whole) return true;
  const size_t end = at + word.word.size();
  const bool before = at > 0 && is_word(word.word.front()) && is_word(text[at - 1]);
  const bool after = end < text.size() && is_word(word.word.back()) && is_word(text[end]);
  return !before && !after;
}

void AddedWords::add(AddedWord word) {
  if (word.word.empty() || word.count < 1) return;
  const auto insert = [&](char first) {
    std::vector<size_t>& list = by_first_byte_[static_cast<unsigned char>(first)];
    const size_t size = word.word.size();
    const auto place =
        std::find_if(list.begin(), list.end(), [&](size_t other) { return words_[other].word.size() < size; });
    list.insert(place, words_.size());
  };
  const char first = word.word.front();
  insert(first);
  if (word.any_case && lower_ascii(first) != upper(first))
    insert(first == lower_ascii(first) ? upper(first) : lower_ascii(first));
  words_.push_back(std::move(word));
}

AddedWords::Found AddedWords::find(std::string_view text, size_t from) const {
  for (size_t at = from; at < text.size(); ++at) {
    for (const size_t word : by_first_byte_[static_cast<unsigned char>(text[at])]) {
      if (stands_at(words_[word], text, at)) return {at, at + words_[word].word.size(), &words_[word]};
    }
  }
  return {};
}

}  // namespace sumi::text
