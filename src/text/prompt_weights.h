// A1111's prompt syntax: (word), ((word)), (word:1.2), [word], \( escapes, BREAK; and its 75-token chunks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/clip_tokenizer.h"
#include "text/network_tags.h"

namespace sumi::text {

// Text of one weight; or, with no text, the BREAK after which a new chunk begins.
struct WeightedText {
  std::string text;
  float weight = 1.0f;
  bool is_break = false;
};

// Splits a prompt into spans of one weight. Unbalanced brackets weigh to the end, as in A1111. Nesting beyond 64, and
// weights that are not finite or beyond ±1000, throw Error(kUsage), as do the prompts that ClipTokenizer::encode and
// refuse_network_tags refuse. Linear time.
std::vector<WeightedText> parse_weighted_prompt(std::string_view prompt);

// Rows of row + 2 ids each ([start] `row` ids [end]) and the weight of each id. At least one row. A row that fills up
// within 20 ids of a comma ends at that comma, as in A1111.
struct WeightedChunks {
  std::vector<std::vector<int64_t>> ids;
  std::vector<std::vector<float>> weights;
  bool plain() const;  // one row, all weights 1
};
WeightedChunks chunk_weighted_prompt(const ClipTokenizer& tokenizer, std::string_view prompt, int64_t row = 75);
// The same for a prompt that is parsed already.
WeightedChunks chunk_weighted_prompt(const ClipTokenizer& tokenizer, const std::vector<WeightedText>& parsed,
                                     int64_t row = 75);

}  // namespace sumi::text
