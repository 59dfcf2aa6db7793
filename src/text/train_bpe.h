// Trains a byte-pair vocabulary on the texts that it is for. (Sennrich et al. 2016)
#pragma once

#include <string>
#include <vector>

#include "text/bpe_files.h"

namespace sumi::text {

// A vocabulary in CLIP's form: 256 bytes, 256 bytes that end a word, what the most frequent pairs join to, and the two
// marks; at most `size` tokens, fewer where no pair is left that occurs twice. Of equally frequent pairs the one that
// is first in the order of bytes is joined first, so that the same texts give the same files. Throws Error(kUsage) for
// a size below 515 or above 2^20, and for a text that is not a valid prompt.
TokenizerText train_bpe(const std::vector<std::string>& texts, int64_t size);

// Writes vocab.json and merges.txt into `folder`, each whole or not at all.
void write_tokenizer(const std::filesystem::path& folder, const TokenizerText& text);

}  // namespace sumi::text
