// Scaled dot-product attention over several heads.
#pragma once

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;  // query i sees keys 0 … i
};

// q [N,T,heads·d], k and v [N,S,heads·d] → softmax(q·kᵀ / √d)·v, [N,T,heads·d]; heads are consecutive groups of d
// channels. No T×S matrix is held in memory. (Vaswani et al. 2017; online softmax: Milakov and Gimelshein 2018)
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);

struct AttentionArgs {
  const float *q, *k, *v;
  float* out;
  int64_t batch, queries, keys, heads, head_dim;
  float scale;
  bool causal;
};
using AttentionKernel = void(const AttentionArgs& args);
extern KernelSlot<AttentionKernel> attention_slot;

struct AttentionGradArgs {
  AttentionArgs forward;  // with its result
  const float* dout;
  float *dq, *dk, *dv;
};
using AttentionGradKernel = void(const AttentionGradArgs& args);
extern KernelSlot<AttentionGradKernel> attention_grad_slot;

}  // namespace sumi
