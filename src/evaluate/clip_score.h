// How well pictures match their captions, measured by a CLIP model.
#pragma once

#include <string>

#include "image/image.h"
#include "models/clip_pair/clip_pair.h"
#include "text/clip_tokenizer.h"

namespace sumi::evaluate {

class ClipScore {
 public:
  // `model`: both halves of CLIP (see models::ClipPair), `tokenizer` its vocabulary. Throws Error(kData) if the two do
  // not match.
  ClipScore(const io::Checkpoint& model, text::ClipTokenizer tokenizer, Device device);
  // 100 · max(0, cosine of the picture's and the caption's embedding). The picture is scaled until it covers CLIP's
  // square and cut to its middle; the caption is cut to CLIP's number of positions.     (Hessel et al. 2021, without
  // its 2.5)
  double operator()(const image::Image& picture, const std::string& caption) const;

 private:
  models::ClipPair pair_;
  text::ClipTokenizer tokenizer_;
};

}  // namespace sumi::evaluate
