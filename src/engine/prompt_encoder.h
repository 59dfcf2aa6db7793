// Prompts as the denoiser sees them.
#pragma once

#include <map>
#include <vector>

#include "engine/prompt.h"
#include "models/stable_diffusion.h"

namespace sumi::engine {

struct PromptPair {
  models::Conditioning cond;    // sequence [B,T,D], and pooled [B,P] if the denoiser takes one
  models::Conditioning uncond;  // of the same shapes; empty without guidance
};

// Encodes prompts; one that repeats within a batch or soon after is encoded once.
class PromptEncoder {
 public:
  // `empty` is the empty text, whose rows fill up shorter prompts; read only where prompts of a batch take different
  // numbers of rows. All must outlive the encoder and stay where they are.
  // `added`: rows of embeddings that ids beyond the text encoder's table stand for, or undefined. `end_mark`: the id
  // that ends a text; -1: its largest.
  PromptEncoder(const models::StableDiffusion& model, const TokenizedPrompt& empty, const Tensor& added = {},
                int64_t end_mark = -1);

  // Prompts that take fewer rows than the longest of the batch are padded with rows of the empty text, as A1111 does.
  // The pooled vector of a long text is its first row's.
  PromptPair operator()(const std::vector<const TokenizedPrompt*>& prompts, const TokenizedPrompt& negative,
                        bool guided);

 private:
  struct Encoded {
    std::vector<Tensor> rows;  // each [T,D]
    Tensor pooled;             // [1,P], or undefined
  };

  const Encoded& encoded(const TokenizedPrompt& prompt);
  Encoded encode(const TokenizedPrompt& prompt) const;
  Tensor join(const TokenizedPrompt& prompt, size_t count);
  models::Conditioning conditioning(const std::vector<const TokenizedPrompt*>& prompts, size_t count);

  const models::StableDiffusion& model_;
  const TokenizedPrompt& empty_;
  std::vector<Tensor> added_;
  int64_t end_mark_;
  bool pooled_;  // the denoiser takes a pooled vector
  std::map<const TokenizedPrompt*, Encoded> encoded_;
};

}  // namespace sumi::engine
