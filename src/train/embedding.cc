// Textual inversion; declared in ldm_trainer.h.
#include <algorithm>

#include "base/check.h"
#include "base/text_util.h"
#include "models/family.h"
#include "ops/embedding.h"
#include "ops/layout.h"
#include "train/ldm_trainer.h"

namespace sumi::train {
namespace {

constexpr int64_t kMostVectors = 75;  // of a prompt's row
constexpr size_t kLongestWord = 64;

// The rows of the text encoder's token embedding, [n,D] float32.
Tensor rows_of(const models::StableDiffusion& model, const std::vector<int64_t>& ids) {
  Tensor rows;
  nn::for_each_param(model.text_encoder(), "", [&](const std::string& name, nn::Param& param) {
    if (name.ends_with("token_embedding.weight"))
      rows = embedding(Tensor::from(ids, {static_cast<int64_t>(ids.size())}), param.value);
  });
  SUMI_CHECK_KIND(kUnavailable, rows, "this model's text encoder has no token embedding");
  return rows;
}

}  // namespace

EmbeddingToTrain begin_embedding(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer,
                                 const std::string& word, const std::string& init, int64_t count) {
  const bool plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.';
  });
  SUMI_CHECK_KIND(kUsage, !word.empty() && plain && word[0] != '.' && word.size() <= kLongestWord,
                  "`word` must be 1 to {} letters, digits, '_', '-' and '.', not \"{}\": the file is called so",
                  kLongestWord, shorten(strip_control(word), 80));
  SUMI_CHECK_KIND(kUsage, count >= 1 && count <= kMostVectors, "`vectors` must be from 1 to {}, not {}", kMostVectors,
                  count);
  const std::vector<int64_t> ids = tokenizer.encode(init);
  SUMI_CHECK_KIND(kUsage, !ids.empty(), "`init` must be a word or more to begin with, such as \"cat\"");
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) chosen.push_back(ids[static_cast<size_t>(i) % ids.size()]);
  EmbeddingToTrain out{.word = word, .vectors = cast(rows_of(model, chosen), DType::kF32).clone()};
  out.vectors.set_requires_grad(true);
  return out;
}

text::ClipTokenizer with_embedding(const text::ClipTokenizer& tokenizer, const EmbeddingToTrain& embedding,
                                   const models::ModelConfig& config) {
  text::AddedWords words;
  words.add({.word = embedding.word,
             .first = config.text.vocab_size,
             .count = embedding.vectors.dim(0),
             .whole = true,
             .any_case = true});
  return tokenizer.with(words);
}

std::string caption_with_word(const text::ClipTokenizer& tokenizer, const EmbeddingToTrain& embedding,
                              const models::ModelConfig& config, const std::string& caption) {
  const std::vector<int64_t> ids = tokenizer.encode(caption);
  const auto first = std::find(ids.begin(), ids.end(), config.text.vocab_size);
  const int64_t most = config.text.max_positions - 2;  // without the two marks
  if (first != ids.end() && first - ids.begin() + embedding.vectors.dim(0) <= most) return caption;
  return caption.empty() ? "a photo of " + embedding.word : embedding.word + ", " + caption;
}

}  // namespace sumi::train
