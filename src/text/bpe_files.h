// The two files of a byte-pair encoding as they are published: vocab.json and merges.txt. Treated as untrusted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sumi::text {

using Vocabulary = std::unordered_map<std::string, int32_t>;
using MergeList = std::vector<std::pair<std::string, std::string>>;

// The contents of the two files, and their names for messages.
struct TokenizerText {
  std::string vocabulary, merges;
  std::string vocabulary_source = "vocab.json", merges_source = "merges.txt";
  // Tokens beyond the vocabulary: one flat JSON object of token -> id, as in added_tokens.json; empty: none.
  std::string added = {}, added_source = "added_tokens.json";
};
// vocab.json and merges.txt with the added_tokens.json beside them, or where these two are missing a tokenizer.json
// alone; added tokens with ids beyond the vocabulary are also taken from a tokenizer.json beside them, and a broken one
// there is only warned of. Throws Error(kNoInput), or Error(kData) if they
// are not text, or tokenizer.json holds no byte-pair encoding.
TokenizerText read_tokenizer(const std::filesystem::path& folder);

// One flat JSON object of token -> id, the ids being 0 … n-1, each once. Throws Error naming the file and the rule.
Vocabulary parse_vocabulary(const TokenizerText& text);

// The added tokens and their ids: any whole numbers, each once. Empty where there are none.
Vocabulary parse_added_tokens(const TokenizerText& text);

// Two tokens a line, the most frequent pair first. A "#version" line, blank lines, CRLF and a byte order mark are
// skipped. Throws Error naming the file, the line and the rule.
MergeList parse_merges(const TokenizerText& text);

}  // namespace sumi::text
