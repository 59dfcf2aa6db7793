#include "engine/prompt_encoder.h"

#include <algorithm>

#include "ops/layout.h"
#include "ops/weigh_rows.h"

namespace sumi::engine {
namespace {

// The number of encoded texts that are cached; a row of Stable Diffusion 1.x takes 236 KB.
constexpr size_t kKept = 64;

}  // namespace

PromptEncoder::PromptEncoder(const models::StableDiffusion& model, const TokenizedPrompt& empty, const Tensor& added,
                             int64_t end_mark)
    : model_(model),
      empty_(empty),
      added_(added ? std::vector<Tensor>{added} : std::vector<Tensor>()),
      end_mark_(end_mark),
      pooled_(model.denoiser().wants().pooled > 0) {}

PromptEncoder::Encoded PromptEncoder::encode(const TokenizedPrompt& prompt) const {
  Encoded out;
  for (size_t i = 0; i < prompt.rows.size(); ++i) {
    const auto count = static_cast<int64_t>(prompt.rows[i].size());
    const bool pooled = pooled_ && i == 0;
    const models::TextStates states = model_.encode_text(Tensor::from(prompt.rows[i], {1, count}),
                                                         {.pooled = pooled, .added = added_, .end_mark = end_mark_});
    if (pooled) out.pooled = states.pooled;
    Tensor row = states.hidden.reshape({count, states.hidden.dim(2)});
    if (!prompt.weights[i].empty()) row = weigh_rows(row, prompt.weights[i]);
    out.rows.push_back(std::move(row));
  }
  return out;
}

const PromptEncoder::Encoded& PromptEncoder::encoded(const TokenizedPrompt& prompt) {
  const auto known = encoded_.find(&prompt);
  return known != encoded_.end() ? known->second : encoded_.emplace(&prompt, encode(prompt)).first->second;
}

Tensor PromptEncoder::join(const TokenizedPrompt& prompt, size_t count) {
  std::vector<Tensor> parts = encoded(prompt).rows;
  while (parts.size() < count) parts.push_back(encoded(empty_).rows[0]);
  const Tensor joined = parts.size() == 1 ? parts[0] : concat_rows(parts);
  return joined.reshape({1, joined.dim(0), joined.dim(1)});
}

models::Conditioning PromptEncoder::conditioning(const std::vector<const TokenizedPrompt*>& prompts, size_t count) {
  std::vector<Tensor> sequences, pooled;
  for (const TokenizedPrompt* prompt : prompts) {
    sequences.push_back(join(*prompt, count));
    if (pooled_) pooled.push_back(encoded(*prompt).pooled);
  }
  return {.sequence = concat_rows(sequences), .pooled = pooled_ ? concat_rows(pooled) : Tensor()};
}

PromptPair PromptEncoder::operator()(const std::vector<const TokenizedPrompt*>& prompts,
                                     const TokenizedPrompt& negative, bool guided) {
  if (encoded_.size() > kKept) encoded_.clear();
  size_t count = guided ? negative.rows.size() : 1;
  for (const TokenizedPrompt* prompt : prompts) count = std::max(count, prompt->rows.size());
  PromptPair pair{.cond = conditioning(prompts, count)};
  if (guided) pair.uncond = conditioning(std::vector<const TokenizedPrompt*>(prompts.size(), &negative), count);
  return pair;
}

}  // namespace sumi::engine
