#include "models/clip_pair/clip_vision.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

constexpr int64_t kHeadWidth = 64;
constexpr int64_t kMostLayers = 256, kMostWidth = 8192, kMostSide = 2048;

}  // namespace

ClipVision::ClipVision(const ClipVisionConfig& c)
    : config_(c),
      class_token_{Shape{c.layer.hidden_size}, {}},
      patches_(3, c.layer.hidden_size, {.kernel = c.patch, .stride = c.patch, .bias = false}),
      position_(c.tokens(), c.layer.hidden_size),
      first_norm_(c.layer.hidden_size, c.layer.layer_norm_eps),
      last_norm_(c.layer.hidden_size, c.layer.layer_norm_eps) {
  for (int64_t i = 0; i < c.layer.layers; ++i) layers_.push_back(std::make_unique<ClipLayer>(c.layer, false));
}

Tensor ClipVision::states(const Tensor& pictures) const {
  const int64_t side = config_.side, width = config_.layer.hidden_size, tokens = config_.tokens();
  SUMI_CHECK(pictures.rank() == 4 && pictures.dim(1) == side && pictures.dim(2) == side && pictures.dim(3) == 3,
             "CLIP takes pictures [N,{},{},3], not {}", side, side, pictures.shape().str());
  const Tensor patches = patches_(pictures), token = cast(class_token_.value, DType::kF32);
  std::vector<int64_t> positions(static_cast<size_t>(tokens));
  std::iota(positions.begin(), positions.end(), int64_t{0});
  const Tensor places = position_(Tensor::from(positions, {tokens}));
  std::vector<Tensor> rows;
  for (int64_t n = 0; n < pictures.dim(0); ++n) {
    const Tensor all = concat_rows({token.reshape({1, width}), patches.rows(n, n + 1).reshape({tokens - 1, width})});
    rows.push_back((all + places).reshape({1, tokens, width}));
  }
  Tensor x = first_norm_(concat_rows(rows));
  for (const auto& layer : layers_) x = (*layer)(x);
  return x;
}

Tensor ClipVision::pooled(const Tensor& states) const {
  return last_norm_(pick_tokens(states, std::vector<int64_t>(static_cast<size_t>(states.dim(0)), 0)));
}

void ClipVision::visit(nn::ParamVisitor& v) {
  v("embeddings.class_embedding", class_token_);
  v("embeddings.patch_embedding", patches_);
  v("embeddings.position_embedding", position_);
  v("pre_layrnorm", first_norm_);  // the original's spelling
  for (size_t i = 0; i < layers_.size(); ++i) v("encoder.layers." + std::to_string(i), *layers_[i]);
  v("post_layernorm", last_norm_);
}

const Shape& shape_of(const io::Checkpoint& file, const std::string& name, int rank, const std::string& wanted) {
  const io::TensorInfo* info = file.find(name);
  SUMI_CHECK(info != nullptr && info->shape.rank() == rank, "{}: has no {} of {} dimensions; {}", file.path().string(),
             name, rank, wanted);
  return info->shape;
}

ClipTextConfig clip_layers_of(const io::Checkpoint& file, const std::string& prefix, const std::string& wanted,
                              int64_t heads) {
  const Shape& fc1 = shape_of(file, prefix + "encoder.layers.0.mlp.fc1.weight", 2, wanted);
  int64_t layers = 1;
  while (file.has(fmt::format("{}encoder.layers.{}.mlp.fc1.weight", prefix, layers))) ++layers;
  const std::string source = file.path().string();
  SUMI_CHECK(fc1[1] >= 1 && fc1[1] <= kMostWidth && fc1[0] >= 1 && fc1[0] <= 8 * kMostWidth && layers <= kMostLayers,
             "{}: {}encoder has {} layers that are {} wide, with {} inside; at most {} of {} are expected", source,
             prefix, layers, fc1[1], fc1[0], kMostLayers, kMostWidth);
  SUMI_CHECK(heads != 0 || fc1[1] % kHeadWidth == 0, "{}: {} is {} wide; heads of {} channels are expected", source,
             prefix, fc1[1], kHeadWidth);
  SUMI_CHECK(heads == 0 || (heads > 0 && fc1[1] % heads == 0), "{}: {} heads do not divide the {} channels of {}",
             source, heads, fc1[1], prefix);
  return {.hidden_size = fc1[1],
          .layers = layers,
          .heads = heads == 0 ? fc1[1] / kHeadWidth : heads,
          .intermediate_size = fc1[0]};
}

ClipVisionConfig clip_vision_of(const io::Checkpoint& file, const std::string& prefix, const std::string& wanted,
                                int64_t heads) {
  const int64_t patch = shape_of(file, prefix + "embeddings.patch_embedding.weight", 4, wanted)[2];
  const int64_t places = shape_of(file, prefix + "embeddings.position_embedding.weight", 2, wanted)[0];
  const auto a_side =
      static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(0, places - 1)))));
  SUMI_CHECK(
      a_side >= 1 && a_side * a_side == places - 1 && patch >= 1 && patch <= kMostSide && patch * a_side <= kMostSide,
      "{}: {} places for patches of {} pixels do not make a square picture", file.path().string(), places, patch);
  return {.layer = clip_layers_of(file, prefix, wanted, heads), .side = patch * a_side, .patch = patch};
}

}  // namespace sumi::models
