#include "engine/prompt.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "text/network_tags.h"
#include "text/normalize.h"

namespace sumi::engine {
namespace {

constexpr size_t kShownBytes = 60;  // of a prompt in a message

TokenizedPrompt tokenize_exactly(const text::ClipTokenizer& tokenizer, const std::string& prompt, int64_t length) {
  int64_t cut = 0;
  TokenizedPrompt out{.text = prompt, .rows = {tokenizer.encode_padded(prompt, length, &cut)}, .weights = {{}}};
  if (cut > 0) {
    warn("the last {} of {} tokens do not fit and are left out of the prompt \"{}\"", cut, cut + length - 2,
         strip_control(shorten(prompt, kShownBytes, "...")));
  }
  return out;
}

}  // namespace

PromptSyntax syntax_of(const std::string& name) {
  SUMI_CHECK_KIND(kUsage, name == "exact" || name == "weighted", "`syntax` must be exact or weighted, not {}", name);
  return name == "exact" ? PromptSyntax::kExact : PromptSyntax::kWeighted;
}

ParsedPrompt parse_prompt(const std::string& prompt, PromptSyntax syntax) {
  if (syntax == PromptSyntax::kWeighted) return {prompt, text::parse_weighted_prompt(prompt)};
  text::check_prompt(prompt);
  text::refuse_network_tags(prompt);
  return {prompt, {}};
}

TokenizedPrompt tokenize(const models::ModelConfig& config, const text::ClipTokenizer& tokenizer,
                         const ParsedPrompt& prompt, PromptSyntax syntax) {
  if (syntax == PromptSyntax::kExact) return tokenize_exactly(tokenizer, prompt.text, config.text.max_positions);
  // CLIP's 77 ids a row, or fewer if the text encoder takes fewer.
  const int64_t row = std::min<int64_t>(77, config.text.max_positions);
  text::WeightedChunks chunks = text::chunk_weighted_prompt(tokenizer, prompt.spans, row - 2);
  for (auto& weights : chunks.weights) {
    if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 1.0f; })) weights.clear();
  }
  return {.text = prompt.text, .rows = std::move(chunks.ids), .weights = std::move(chunks.weights)};
}

}  // namespace sumi::engine
