// The interface of networks that turn token ids into a denoiser's conditioning: CLIP's text half and others.
#pragma once

#include <vector>

#include "nn/module.h"

namespace sumi::models {

// Which states are requested.
struct TextQuery {
  int64_t skip = 0;        // layers from the end: 0 the last layer's states, 1 those before it ("clip skip 2")
  bool final_norm = true;  // normed as the last layer's are
  bool pooled = false;     // the vector of the whole text as well
  // Rows of embeddings beyond those of the table, one tensor [n,D] an encoder: an id of the table's size + j stands for
  // row j. They may require a gradient.
  std::vector<Tensor> added = {};
  // The id whose first place the pooled vector is of; -1: the largest id of the table that the row has.
  int64_t end_mark = -1;
};

struct TextStates {
  Tensor hidden;  // [B,T,D]
  Tensor pooled;  // [B,P], if requested
};

class TextEncoder : public nn::Module {
 public:
  // ids [B,T] i64, on the host → states in float32, whatever type the run's networks compute in. Throws Error(kData) if
  // T exceeds the encoder's number of positions, Error(kUsage) if `query.skip` is not 0 to layers().
  virtual TextStates encode(const Tensor& ids, const TextQuery& query) const = 0;
  virtual int64_t layers() const = 0;
};

}  // namespace sumi::models
