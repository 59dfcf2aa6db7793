#include "models/clip_pair/clip_pair.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>

#include "models/loading/bind.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/unit_rows.h"

namespace sumi::models {
namespace {

// Mean and deviation of each channel, from 0 to 1, over CLIP's training pictures. (openai/CLIP, clip.py `_transform`)
constexpr std::array<float, 3> kMean{0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, 3> kDeviation{0.26862954f, 0.26130258f, 0.27577711f};
constexpr int64_t kHeadWidth = 64;

const Shape& shape_of(const io::Checkpoint& file, const std::string& name, int rank) {
  const io::TensorInfo* info = file.find(name);
  SUMI_CHECK(
      info != nullptr && info->shape.rank() == rank,
      "{}: has no {} of {} dimensions; a CLIP model with both halves is needed, as transformers' CLIPModel saves "
      "it (openai/clip-vit-large-patch14)",
      file.path().string(), name, rank);
  return info->shape;
}

// The sizes of the transformer in the half `half` ("text_model.").
ClipTextConfig half_of(const io::Checkpoint& file, const std::string& half) {
  const Shape& fc1 = shape_of(file, half + "encoder.layers.0.mlp.fc1.weight", 2);
  int64_t layers = 1;
  while (file.has(fmt::format("{}encoder.layers.{}.mlp.fc1.weight", half, layers))) ++layers;
  SUMI_CHECK(fc1[1] >= kHeadWidth && fc1[1] % kHeadWidth == 0 && fc1[1] <= 8192 && fc1[0] >= 1 && layers <= 256,
             "{}: {} is {} wide; heads of {} channels are expected", file.path().string(), half, fc1[1], kHeadWidth);
  return {.hidden_size = fc1[1], .layers = layers, .heads = fc1[1] / kHeadWidth, .intermediate_size = fc1[0]};
}

}  // namespace

ClipVision::ClipVision(const ClipTextConfig& layer, int64_t side, int64_t patch)
    : width_(layer.hidden_size),
      side_(side),
      class_token_{Shape{layer.hidden_size}, {}},
      patches_(3, layer.hidden_size, {.kernel = patch, .stride = patch, .bias = false}),
      position_(1 + (side / patch) * (side / patch), layer.hidden_size),
      first_norm_(layer.hidden_size, layer.layer_norm_eps),
      last_norm_(layer.hidden_size, layer.layer_norm_eps) {
  for (int64_t i = 0; i < layer.layers; ++i) layers_.push_back(std::make_unique<ClipLayer>(layer, false));
}

Tensor ClipVision::operator()(const Tensor& pictures) const {
  SUMI_CHECK(pictures.rank() == 4 && pictures.dim(1) == side_ && pictures.dim(2) == side_ && pictures.dim(3) == 3,
             "CLIP takes pictures [N,{},{},3], not {}", side_, side_, pictures.shape().str());
  const Tensor patches = patches_(pictures), token = cast(class_token_.value, DType::kF32);
  const int64_t count = pictures.dim(0), tokens = 1 + patches.dim(1) * patches.dim(2);
  std::vector<int64_t> positions(static_cast<size_t>(tokens));
  std::iota(positions.begin(), positions.end(), int64_t{0});
  const Tensor places = position_(Tensor::from(positions, {tokens}));
  std::vector<Tensor> rows;
  for (int64_t n = 0; n < count; ++n) {
    const Tensor all = concat_rows({token.reshape({1, width_}), patches.rows(n, n + 1).reshape({tokens - 1, width_})});
    rows.push_back((all + places).reshape({1, tokens, width_}));
  }
  Tensor x = first_norm_(concat_rows(rows));
  for (const auto& layer : layers_) x = (*layer)(x);
  std::vector<Tensor> classes;
  for (int64_t n = 0; n < count; ++n) classes.push_back(x.rows(n, n + 1).reshape({tokens, width_}).rows(0, 1));
  return last_norm_(concat_rows(classes));
}

void ClipVision::visit(nn::ParamVisitor& v) {
  v("embeddings.class_embedding", class_token_);
  v("embeddings.patch_embedding", patches_);
  v("embeddings.position_embedding", position_);
  v("pre_layrnorm", first_norm_);  // the original's spelling
  for (size_t i = 0; i < layers_.size(); ++i) v("encoder.layers." + std::to_string(i), *layers_[i]);
  v("post_layernorm", last_norm_);
}

ClipPair::ClipPair(const io::Checkpoint& file, Device device) : device_(device) {
  ClipTextConfig text = half_of(file, "text_model.");
  const ClipTextConfig vision = half_of(file, "vision_model.");
  text.vocab_size = vocab_size_ = shape_of(file, "text_model.embeddings.token_embedding.weight", 2)[0];
  text.max_positions = positions_ = shape_of(file, "text_model.embeddings.position_embedding.weight", 2)[0];
  const int64_t patch = shape_of(file, "vision_model.embeddings.patch_embedding.weight", 4)[2];
  const int64_t places = shape_of(file, "vision_model.embeddings.position_embedding.weight", 2)[0];
  const auto a_side =
      static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(0, places - 1)))));
  SUMI_CHECK(a_side >= 1 && a_side * a_side == places - 1 && patch >= 1 && patch * a_side <= 2048,
             "{}: {} places for patches of {} pixels do not make a square picture", file.path().string(), places,
             patch);
  side_ = patch * a_side;
  const int64_t common = shape_of(file, "visual_projection.weight", 2)[0];
  text_ = std::make_unique<ClipText>(text);
  vision_ = std::make_unique<ClipVision>(vision, side_, patch);
  text_projection_ = std::make_unique<nn::Linear>(text.hidden_size, common, nn::LinearConfig{.bias = false});
  vision_projection_ = std::make_unique<nn::Linear>(vision.hidden_size, common, nn::LinearConfig{.bias = false});
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
  for (size_t i = 0; i < normed.size(); ++i) normed[i] = (0.5f * normed[i] + 0.5f - kMean[i % 3]) / kDeviation[i % 3];
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
