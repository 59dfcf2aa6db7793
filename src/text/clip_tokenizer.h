// CLIP's byte-pair-encoding tokenizer, ids equal to the original's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_words.h"
#include "text/bpe_files.h"

namespace sumi::text {

class ClipTokenizer {
 public:
  // Reads the files in `folder` (see read_tokenizer). Throws Error with the file, the line and the rule broken.
  static ClipTokenizer load(const std::filesystem::path& folder);
  // The same from the files' contents.
  static ClipTokenizer parse(TokenizerText text);
  const TokenizerText& text() const;

  // The same tokenizer, which also knows these words: they are found before anything else, and case counts. Tokens that
  // the files add to the vocabulary are known so as well.
  ClipTokenizer with(const AddedWords& words) const;
  // How many ids the word has whose ids, beyond the vocabulary, begin with this one.
  int64_t ids_of_word(int64_t first) const;

  // Ids of the prompt alone, without start and end marks. Throws Error(kUsage) for invalid UTF-8, a NUL or over 64 KiB.
  std::vector<int64_t> encode(std::string_view prompt) const;
  // The same for a part of a prompt, by whoever encodes a prompt in parts: base/count.h counts whole prompts.
  std::vector<int64_t> encode_part(std::string_view part) const;
  // [start] ids [end] padded with the end mark to `length`, cut to fit; `cut` receives how many ids did not.
  std::vector<int64_t> encode_padded(std::string_view prompt, int64_t length = 77, int64_t* cut = nullptr) const;

  int64_t vocab_size() const;  // with added tokens: their largest id and 1
  int64_t start_id() const;
  int64_t end_id() const;

 private:
  struct Data;
  void append_text(std::string_view part, std::vector<int64_t>& ids) const;

  std::shared_ptr<const Data> data_;
  std::shared_ptr<const AddedWords> words_;
};

// The marks at the end of every vocabulary.
inline constexpr std::string_view kStartMark = "<|startoftext|>";
inline constexpr std::string_view kEndMark = "<|endoftext|>";

// Splits text that clean_prompt has cleaned into words, which byte-pair encoding takes one by one: an English ending
// after an apostrophe, a run of letters, one digit, or a run of anything else but spaces.
class WordSplitter {
 public:
  WordSplitter();  // throws Error(kUnavailable) where the PCRE2 library has no Unicode support
  void operator()(std::string_view text, const std::function<void(std::string_view word)>& f) const;

 private:
  std::shared_ptr<const void> code_;
};

}  // namespace sumi::text
