// Both halves of CLIP with their projections: how near a text and a picture are in meaning.   (Radford et al. 2021)
#pragma once

#include <memory>

#include "io/checkpoint.h"
#include "models/clip_text/clip_text.h"

namespace sumi::models {

// The picture half: a transformer over patches of the picture, preceded by a class token.
class ClipVision : public nn::Module {
 public:
  // `layer`: width, layers, heads and activation; `side` and `patch` in pixels.
  ClipVision(const ClipTextConfig& layer, int64_t side, int64_t patch);
  // Pictures [N,side,side,3], each channel minus CLIP's mean, divided by its deviation → [N,width].
  Tensor operator()(const Tensor& pictures) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  int64_t width_, side_;
  nn::Param class_token_;
  nn::Conv2d patches_;
  nn::Embedding position_;
  nn::LayerNorm first_norm_, last_norm_;
  std::vector<std::unique_ptr<ClipLayer>> layers_;
};

class ClipPair {
 public:
  // A file or folder with the names of transformers' CLIPModel (`text_model.…`, `vision_model.…`,
  // `visual_projection.weight`, `text_projection.weight`). Sizes are read from the shapes; heads have 64 channels and
  // the activation is the quick GELU, as in all of OpenAI's. Throws Error(kData) for other files.
  ClipPair(const io::Checkpoint& checkpoint, Device device);

  int64_t side() const { return side_; }            // pixels of a picture
  int64_t positions() const { return positions_; }  // tokens of a text
  int64_t vocab_size() const { return vocab_size_; }

  // Pictures [N,side,side,3] in [-1, 1], from the host → [N,E], of length 1.
  Tensor embed_pictures(const Tensor& pictures) const;
  // ids [N,T] on the host, each row with an end mark `end` → [N,E], of length 1: the text half's output at the first of
  // them.
  Tensor embed_texts(const Tensor& ids, int64_t end) const;

 private:
  Device device_;
  int64_t side_ = 0, positions_ = 0, vocab_size_ = 0;
  std::unique_ptr<ClipText> text_;
  std::unique_ptr<ClipVision> vision_;
  std::unique_ptr<nn::Linear> text_projection_, vision_projection_;
};

}  // namespace sumi::models
