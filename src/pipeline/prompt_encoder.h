// Prompts as the UNet sees them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/stable_diffusion.h"
#include "pipeline/request.h"
#include "text/clip_tokenizer.h"

namespace sumi::pipeline {

struct PromptPair {
  Tensor cond;    // [B,T,D]
  Tensor uncond;  // of the same shape; undefined where no guidance is asked for
};

// How many tokens the UNet sees of a prompt: whole rows.
int64_t count_tokens(const models::ModelConfig& config, const text::ClipTokenizer& tokenizer, const std::string& prompt,
                     PromptSyntax syntax);

// A text that a batch repeats, or that comes again soon, is encoded once.
class PromptEncoder {
 public:
  // Throws Error(kData) where the tokenizer's vocabulary does not fit the model. Both must outlive it.
  PromptEncoder(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer, PromptSyntax syntax);

  // Texts that take fewer rows of 77 tokens than the longest are filled up with the empty text's, as A1111 does.
  PromptPair operator()(const std::vector<std::string>& prompts, const std::string& negative, bool guided);

 private:
  using Rows = std::vector<Tensor>;  // each [T,D]

  const Rows& rows(const std::string& prompt);
  Rows encode(const std::string& prompt) const;
  Tensor encode_ids(const std::vector<int64_t>& ids) const;
  Tensor join(const std::string& prompt, size_t count);

  const models::StableDiffusion& model_;
  const text::ClipTokenizer& tokenizer_;
  PromptSyntax syntax_;
  std::map<std::string, Rows> encoded_;
};

}  // namespace sumi::pipeline
