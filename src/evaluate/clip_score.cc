#include "evaluate/clip_score.h"

#include <algorithm>
#include <utility>

#include "image/convert.h"
#include "image/resize.h"

namespace sumi::evaluate {

ClipScore::ClipScore(const io::Checkpoint& model, text::ClipTokenizer tokenizer, Device device)
    : pair_(model, device), tokenizer_(std::move(tokenizer)) {
  SUMI_CHECK(tokenizer_.vocab_size() <= pair_.vocab_size(),
             "{}: the model has {} tokens and the tokenizer {}; this tokenizer belongs to another model",
             model.path().string(), pair_.vocab_size(), tokenizer_.vocab_size());
}

double ClipScore::operator()(const image::Image& picture, const std::string& caption) const {
  const image::Image square = image::resize_to_cover(picture, pair_.side(), pair_.side());
  const HostView<float> seen(pair_.embed_pictures(image::from_images({square})));
  const std::vector<int64_t> ids = tokenizer_.encode_padded(caption, pair_.positions());
  const HostView<float> read(pair_.embed_texts(Tensor::from(ids, {1, pair_.positions()}), tokenizer_.end_id()));
  double cosine = 0.0;
  for (int64_t i = 0; i < seen.size(); ++i) cosine += double{seen[i]} * read[i];
  return 100.0 * std::max(0.0, cosine);
}

}  // namespace sumi::evaluate
