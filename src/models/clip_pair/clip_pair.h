// Both halves of CLIP with their projections: how near a text and a picture are in meaning.   (Radford et al. 2021)
#pragma once

#include <memory>

#include "io/checkpoint.h"
#include "models/clip_pair/clip_vision.h"
#include "models/clip_text/clip_text.h"

namespace sumi::models {

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
