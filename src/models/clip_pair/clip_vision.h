// The picture half of CLIP: a transformer over patches of the picture, preceded by a class token. (Radford et al. 2021)
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "models/clip_text/clip_text.h"

namespace sumi::models {

// Mean and deviation of each channel, from 0 to 1, over CLIP's training pictures. (openai/CLIP, clip.py `_transform`)
inline constexpr std::array<float, 3> kClipMean{0.48145466f, 0.4578275f, 0.40821073f};
inline constexpr std::array<float, 3> kClipDeviation{0.26862954f, 0.26130258f, 0.27577711f};

struct ClipVisionConfig {
  ClipTextConfig layer;                              // width, layers, heads, activation, eps; the rest is not used
  int64_t side = 224, patch = 14;                    // pixels
  int64_t per_side() const { return side / patch; }  // patches
  int64_t tokens() const { return 1 + per_side() * per_side(); }
};

class ClipVision : public nn::Module {
 public:
  explicit ClipVision(const ClipVisionConfig& config);
  // Pictures [N,side,side,3], each channel minus CLIP's mean, divided by its deviation → the last layer's states
  // [N,tokens,width], before any norm.
  Tensor states(const Tensor& pictures) const;
  // The class token of such states, normed: [N,width].
  Tensor pooled(const Tensor& states) const;
  Tensor operator()(const Tensor& pictures) const { return pooled(states(pictures)); }
  void visit(nn::ParamVisitor& v) override;

 private:
  ClipVisionConfig config_;
  nn::Param class_token_;
  nn::Conv2d patches_;
  nn::Embedding position_;
  nn::LayerNorm first_norm_, last_norm_;
  std::vector<std::unique_ptr<ClipLayer>> layers_;
};

// The shape of a tensor that must be there. Throws Error(kData) where it is missing or has another rank; the message
// says that `wanted` ("a CLIP model with both halves is needed") is what the file should be.
const Shape& shape_of(const io::Checkpoint& file, const std::string& name, int rank, const std::string& wanted);

// The sizes of a transformer from the shapes under `prefix` ("text_model."), which has transformers' names. `heads` 0:
// they have 64 channels each, as in all of OpenAI's. The activation is theirs too, the quick GELU. Throws Error(kData).
ClipTextConfig clip_layers_of(const io::Checkpoint& file, const std::string& prefix, const std::string& wanted,
                              int64_t heads = 0);
// The same for a picture half ("vision_model.").
ClipVisionConfig clip_vision_of(const io::Checkpoint& file, const std::string& prefix, const std::string& wanted,
                                int64_t heads = 0);

}  // namespace sumi::models
