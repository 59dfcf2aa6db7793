// Keys and values of a text, kept between the steps of a sampler.
#pragma once

#include <unordered_map>

#include "core/tensor.h"

namespace sumi::models {

// Cross-attention's keys and values depend on the text and the weights alone, so a trajectory computes them once. One
// cache serves one model. Costs 2·S·C floats a cross-attention and sample: 15 MB for SD 1.x with guidance.
class ContextCache {
 public:
  struct KeysValues {
    Tensor keys, values;
  };

  // New entries belong to `context`; those of another tensor are dropped. Holding the tensor keeps its memory from
  // being reused, so the same elements mean the same text.
  void use(const Tensor& context) {
    const bool same = context_ && context_.same_elements(context) && context_.shape() == context.shape();
    if (!same) kept_.clear();
    context_ = context;
  }

  // The entry of `layer`; its tensors are undefined at first.
  KeysValues& of(const void* layer) { return kept_[layer]; }

 private:
  Tensor context_;
  std::unordered_map<const void*, KeysValues> kept_;
};

}  // namespace sumi::models
