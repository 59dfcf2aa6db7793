// Scaled dot-product attention over several heads.
#pragma once

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;  // query i sees keys 0 … i
};

// q [N,T,heads·d], k and v [N,S,heads·d], of one type → softmax(q·kᵀ / √d)·v, [N,T,heads·d]; heads are consecutive
// groups of d channels. No T×S matrix is held in memory. (Vaswani et al. 2017; online softmax: Milakov and Gimelshein
// 2018)
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);

struct AttentionArgs {
  View q, k, v;
  MutableView out;
  int64_t batch, queries, keys, heads, head_dim;
  float scale;
  bool causal;
  template <class F> void each_view(const F& f) {
    f(q);
    f(k);
    f(v);
    f(out);
  }
};
extern KernelSlot<AttentionArgs> attention_slot;

// All float32.
struct AttentionGradArgs {
  AttentionArgs forward;  // with its result
  View dout;
  MutableView dq, dk, dv;
  template <class F> void each_view(const F& f) {
    forward.each_view(f);
    f(dout);
    f(dq);
    f(dk);
    f(dv);
  }
};
extern KernelSlot<AttentionGradArgs> attention_grad_slot;

}  // namespace sumi
