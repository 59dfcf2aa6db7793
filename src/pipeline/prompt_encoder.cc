#include "pipeline/prompt_encoder.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "ops/layout.h"
#include "ops/weigh_rows.h"
#include "text/prompt_weights.h"

namespace sumi::pipeline {
namespace {

// The beginning of a prompt, for messages.
std::string shortened(const std::string& prompt) {
  constexpr size_t kShown = 60;
  if (prompt.size() <= kShown) return strip_control(prompt);
  size_t end = kShown;
  while (end > 0 && (prompt[end] & 0xC0) == 0x80) --end;  // not in the middle of a character
  return strip_control(prompt.substr(0, end)) + "...";
}

// Tokens in a row of a weighted prompt: CLIP's, or fewer where the text encoder takes fewer.
int64_t row_of(const models::ModelConfig& config) { return std::min<int64_t>(77, config.text.max_positions); }

// Texts kept encoded; a row of Stable Diffusion 1.x takes 236 KB.
constexpr size_t kKept = 64;

}  // namespace

int64_t count_tokens(const models::ModelConfig& config, const text::ClipTokenizer& tokenizer, const std::string& prompt,
                     PromptSyntax syntax) {
  if (syntax == PromptSyntax::kExact) return config.text.max_positions;
  const int64_t row = row_of(config);
  return row * static_cast<int64_t>(text::chunk_weighted_prompt(tokenizer, prompt, row - 2).ids.size());
}

PromptEncoder::PromptEncoder(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer,
                             PromptSyntax syntax)
    : model_(model), tokenizer_(tokenizer), syntax_(syntax) {
  models::check_vocabulary(model.config(), tokenizer.vocab_size());
}

Tensor PromptEncoder::encode_ids(const std::vector<int64_t>& ids) const {
  const auto count = static_cast<int64_t>(ids.size());
  const Tensor hidden = model_.encode_text(Tensor::from(ids, {1, count}));
  return hidden.reshape({count, hidden.dim(2)});
}

PromptEncoder::Rows PromptEncoder::encode(const std::string& prompt) const {
  if (syntax_ == PromptSyntax::kExact) {
    int64_t cut = 0;
    const int64_t length = model_.config().text.max_positions;
    const std::vector<int64_t> ids = tokenizer_.encode_padded(prompt, length, &cut);
    if (cut > 0) {
      warn("the last {} of {} tokens do not fit and are left out of the prompt \"{}\"", cut, cut + length - 2,
           shortened(prompt));
    }
    return {encode_ids(ids)};
  }
  const text::WeightedChunks chunks = text::chunk_weighted_prompt(tokenizer_, prompt, row_of(model_.config()) - 2);
  Rows rows;
  for (size_t i = 0; i < chunks.ids.size(); ++i) {
    Tensor hidden = encode_ids(chunks.ids[i]);
    const auto& weights = chunks.weights[i];
    if (std::any_of(weights.begin(), weights.end(), [](float w) { return w != 1.0f; }))
      hidden = weigh_rows(hidden, weights);
    rows.push_back(std::move(hidden));
  }
  return rows;
}

const PromptEncoder::Rows& PromptEncoder::rows(const std::string& prompt) {
  const auto known = encoded_.find(prompt);
  return known != encoded_.end() ? known->second : encoded_.emplace(prompt, encode(prompt)).first->second;
}

Tensor PromptEncoder::join(const std::string& prompt, size_t count) {
  Rows parts = rows(prompt);
  while (parts.size() < count) parts.push_back(rows("")[0]);
  const Tensor joined = parts.size() == 1 ? parts[0] : concat_rows(parts);
  return joined.reshape({1, joined.dim(0), joined.dim(1)});
}

PromptPair PromptEncoder::operator()(const std::vector<std::string>& prompts, const std::string& negative,
                                     bool guided) {
  if (encoded_.size() > kKept) encoded_.clear();
  size_t count = guided ? rows(negative).size() : 1;
  for (const std::string& prompt : prompts) count = std::max(count, rows(prompt).size());
  std::vector<Tensor> cond;
  cond.reserve(prompts.size());
  for (const std::string& prompt : prompts) cond.push_back(join(prompt, count));
  PromptPair pair{concat_rows(cond), {}};
  if (guided) pair.uncond = concat_rows(std::vector<Tensor>(prompts.size(), join(negative, count)));
  return pair;
}

}  // namespace sumi::pipeline
