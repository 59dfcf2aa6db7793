// A prompt as its text encoder takes it: rows of token ids and weights, made once a job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/config.h"
#include "text/clip_tokenizer.h"
#include "text/prompt_weights.h"

namespace sumi::engine {

// How a prompt's text is read.
enum class PromptSyntax {
  kExact,     // as the original: every character is text, 77 ids, the excess is cut with a warning
  kWeighted,  // (word:1.2), [word], BREAK, and as many rows of 75 ids as it takes; the same for a plain short prompt
};

// "exact", "weighted"; throws Error(kUsage) for another name.
PromptSyntax syntax_of(const std::string& name);

struct ParsedPrompt {
  std::string text;
  std::vector<text::WeightedText> spans;  // of the weighted syntax; none in the exact
};

// Throws Error(kUsage) for text that is not UTF-8, too long, or whose weights are broken.
ParsedPrompt parse_prompt(const std::string& prompt, PromptSyntax syntax);

struct TokenizedPrompt {
  std::string text;
  std::vector<std::vector<int64_t>> rows;   // at least one; start and end marks included
  std::vector<std::vector<float>> weights;  // of each row's ids; an empty vector: all are 1
};

TokenizedPrompt tokenize(const models::ModelConfig& config, const text::ClipTokenizer& tokenizer,
                         const ParsedPrompt& prompt, PromptSyntax syntax);

}  // namespace sumi::engine
