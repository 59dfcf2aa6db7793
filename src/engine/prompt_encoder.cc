#include "engine/prompt_encoder.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "ops/layout.h"
#include "ops/weigh_rows.h"
#include "text/prompt_weights.h"

namespace sumi::engine {
namespace {

// The beginning of a prompt, for messages.
std::string shortened(const std::string& prompt) {
  constexpr size_t kShown = 60;
  if (prompt.size() <= kShown) return strip_control(prompt);
  size_t end = kShown;
  while (end > 0 && (prompt[end] & 0xC0) == 0x80) --end;  // not in the middle of a character
  return strip_control(prompt.substr(0, end)) + "...";
}

// Tokens in a row of a weighted prompt: CLIP's 77, or fewer if the text encoder takes fewer.
int64_t row_of(const models::ModelConfig& config) { return std::min<int64_t>(77, config.text.max_positions); }

// The number of encoded texts that are cached; a row of Stable Diffusion 1.x takes 236 KB.
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
    : model_(model), tokenizer_(tokenizer), syntax_(syntax), pooled_(model.denoiser().wants().pooled > 0) {
  models::check_vocabulary(model.config(), tokenizer.vocab_size());
}

void PromptEncoder::encode_row(const std::vector<int64_t>& ids, Encoded& out) const {
  const auto count = static_cast<int64_t>(ids.size());
  const Tensor row = Tensor::from(ids, {1, count});
  const bool pooled = pooled_ && out.rows.empty();
  const models::TextStates states = model_.encode_text(row, {.pooled = pooled});
  if (pooled) out.pooled = states.pooled;
  const Tensor& hidden = states.hidden;
  out.rows.push_back(hidden.reshape({count, hidden.dim(2)}));
}

PromptEncoder::Encoded PromptEncoder::encode(const std::string& prompt) const {
  Encoded out;
  if (syntax_ == PromptSyntax::kExact) {
    int64_t cut = 0;
    const int64_t length = model_.config().text.max_positions;
    const std::vector<int64_t> ids = tokenizer_.encode_padded(prompt, length, &cut);
    if (cut > 0) {
      warn("the last {} of {} tokens do not fit and are left out of the prompt \"{}\"", cut, cut + length - 2,
           shortened(prompt));
    }
    encode_row(ids, out);
    return out;
  }
  const text::WeightedChunks chunks = text::chunk_weighted_prompt(tokenizer_, prompt, row_of(model_.config()) - 2);
  for (size_t i = 0; i < chunks.ids.size(); ++i) {
    encode_row(chunks.ids[i], out);
    const auto& weights = chunks.weights[i];
    if (std::any_of(weights.begin(), weights.end(), [](float w) { return w != 1.0f; }))
      out.rows.back() = weigh_rows(out.rows.back(), weights);
  }
  return out;
}

const PromptEncoder::Encoded& PromptEncoder::encoded(const std::string& prompt) {
  const auto known = encoded_.find(prompt);
  return known != encoded_.end() ? known->second : encoded_.emplace(prompt, encode(prompt)).first->second;
}

Tensor PromptEncoder::join(const std::string& prompt, size_t count) {
  std::vector<Tensor> parts = encoded(prompt).rows;
  while (parts.size() < count) parts.push_back(encoded("").rows[0]);
  const Tensor joined = parts.size() == 1 ? parts[0] : concat_rows(parts);
  return joined.reshape({1, joined.dim(0), joined.dim(1)});
}

models::Conditioning PromptEncoder::conditioning(const std::vector<std::string>& prompts, size_t count) {
  std::vector<Tensor> sequences, pooled;
  for (const std::string& prompt : prompts) {
    sequences.push_back(join(prompt, count));
    if (pooled_) pooled.push_back(encoded(prompt).pooled);
  }
  return {.sequence = concat_rows(sequences), .pooled = pooled_ ? concat_rows(pooled) : Tensor()};
}

PromptPair PromptEncoder::operator()(const std::vector<std::string>& prompts, const std::string& negative,
                                     bool guided) {
  if (encoded_.size() > kKept) encoded_.clear();
  size_t count = guided ? encoded(negative).rows.size() : 1;
  for (const std::string& prompt : prompts) count = std::max(count, encoded(prompt).rows.size());
  PromptPair pair{.cond = conditioning(prompts, count)};
  if (guided) pair.uncond = conditioning(std::vector<std::string>(prompts.size(), negative), count);
  return pair;
}

}  // namespace sumi::engine
