// Prompts as the denoiser sees them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/stable_diffusion.h"
#include "engine/request.h"
#include "text/clip_tokenizer.h"

namespace sumi::engine {

struct PromptPair {
  models::Conditioning cond;    // sequence [B,T,D], and pooled [B,P] if the denoiser takes one
  models::Conditioning uncond;  // of the same shapes; empty without guidance
};

// How many tokens the denoiser sees of a prompt: whole rows.
int64_t count_tokens(const models::ModelConfig& config, const text::ClipTokenizer& tokenizer, const std::string& prompt,
                     PromptSyntax syntax);

// A text that repeats within a batch or soon after is encoded once.
class PromptEncoder {
 public:
  // Throws Error(kData) if the tokenizer's vocabulary does not fit the model. Both must outlive it.
  PromptEncoder(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer, PromptSyntax syntax);

  // Texts that take fewer rows of 77 tokens than the longest are padded with rows of the empty text, as A1111 does. The
  // pooled vector of a long text is its first row's.
  PromptPair operator()(const std::vector<std::string>& prompts, const std::string& negative, bool guided);

 private:
  struct Encoded {
    std::vector<Tensor> rows;  // each [T,D]
    Tensor pooled;             // [1,P], or undefined
  };

  const Encoded& encoded(const std::string& prompt);
  Encoded encode(const std::string& prompt) const;
  // Adds a row, and the pooled vector if it is the first.
  void encode_row(const std::vector<int64_t>& ids, Encoded& out) const;
  Tensor join(const std::string& prompt, size_t count);
  models::Conditioning conditioning(const std::vector<std::string>& prompts, size_t count);

  const models::StableDiffusion& model_;
  const text::ClipTokenizer& tokenizer_;
  PromptSyntax syntax_;
  bool pooled_;  // the denoiser takes a pooled vector
  std::map<std::string, Encoded> encoded_;
};

}  // namespace sumi::engine
