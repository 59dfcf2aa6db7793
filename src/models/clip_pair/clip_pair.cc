#include "models/clip_pair/clip_pair.h"

#include <algorithm>

#include "models/loading/bind.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/unit_rows.h"

namespace sumi::models {
namespace {

constexpr const char* kWanted =
    "a CLIP model with both halves is needed, as transformers' CLIPModel saves it (openai/clip-vit-large-patch14)";

}  // namespace

ClipPair::ClipPair(const io::Checkpoint& file, Device device) : device_(device) {
  ClipTextConfig text = clip_layers_of(file, "text_model.", kWanted);
  const ClipVisionConfig vision = clip_vision_of(file, "vision_model.", kWanted);
  text.vocab_size = vocab_size_ = shape_of(file, "text_model.embeddings.token_embedding.weight", 2, kWanted)[0];
  text.max_positions = positions_ = shape_of(file, "text_model.embeddings.position_embedding.weight", 2, kWanted)[0];
  side_ = vision.side;
  const int64_t common = shape_of(file, "visual_projection.weight", 2, kWanted)[0];
  text_ = std::make_unique<ClipText>(text);
  vision_ = std::make_unique<ClipVision>(vision);
  text_projection_ = std::make_unique<nn::Linear>(text.hidden_size, common, nn::LinearConfig{.bias = false});
  vision_projection_ = std::make_unique<nn::Linear>(vision.layer.hidden_size, common, nn::LinearConfig{.bias = false});
  BindReport report;
  bind_module(*text_, file, "text_model.", report, {.device = device});
  bind_module(*vision_, file, "vision_model.", report, {.device = device});
  bind_module(*text_projection_, file, "text_projection.", report, {.device = device});
  bind_module(*vision_projection_, file, "visual_projection.", report, {.device = device});
  report.check();
}

Tensor ClipPair::embed_pictures(const Tensor& pictures) const {
  const HostView<float> given(pictures);
  std::vector<float> normed(given.begin(), given.end());
  for (size_t i = 0; i < normed.size(); ++i)
    normed[i] = (0.5f * normed[i] + 0.5f - kClipMean[i % 3]) / kClipDeviation[i % 3];
  return unit_rows((*vision_projection_)((*vision_)(Tensor::from(normed, pictures.shape(), device_))));
}

Tensor ClipPair::embed_texts(const Tensor& ids, int64_t end) const {
  const HostView<int64_t> all(ids);
  const int64_t tokens = ids.dim(1);
  std::vector<int64_t> ends;
  for (int64_t n = 0; n < ids.dim(0); ++n) {
    const auto row = all.span().subspan(static_cast<size_t>(n * tokens), static_cast<size_t>(tokens));
    ends.push_back(std::find(row.begin(), row.end(), end) - row.begin());
    SUMI_CHECK_KIND(kInternal, ends.back() < tokens, "text {} has no end mark", n);
  }
  const Tensor states = text_->encode(ids, {}).hidden;
  return unit_rows((*text_projection_)(pick_tokens(states, ends)));
}

}  // namespace sumi::models
