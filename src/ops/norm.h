// Normalisation layers. Statistics in float32 or wider; results have the type of x.
#pragma once

#include "ops/activation.h"

namespace sumi {

// x [N,H,W,C] (or [N,T,C]): mean and variance over each sample's pixels and group of C/groups channels, then
// gain and bias [C], then the activation. Biased variance, as PyTorch. (Wu and He 2018) Under TiledNorms the statistics
// are those of the whole picture of which x is a tile.
struct GroupNormOptions {
  int64_t groups = 32;
  double eps = 1e-5;
  Act act = Act::kNone;  // kNone or kSilu
};
Tensor group_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options);
// The same in x's own memory where no other tensor shares it: at 512x512 an autoencoder's activations are 134 to 268 MB
// each.
Tensor group_norm(Tensor&& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options);

// x [.., C]: each row to mean 0 and variance 1, then gain and bias [C]. (Ba et al. 2016)
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps = 1e-5);

struct GroupNormArgs {
  View x;
  View gain, bias;  // [channels] float32
  MutableView out;  // may be x itself
  int64_t batch, pixels, channels, groups;
  double eps;
  Act act;
  View statistics = {};  // [batch, groups, 2] f64: mean and variance to use instead of x's own; may be absent
  template <class F> void each_view(const F& f) {
    f(x);
    f(gain);
    f(bias);
    f(out);
    f(statistics);
  }
};
struct LayerNormArgs {
  View x;           // [rows, channels]
  View gain, bias;  // [channels] float32
  MutableView out;
  int64_t rows, channels;
  double eps;
  template <class F> void each_view(const F& f) {
    f(x);
    f(gain);
    f(bias);
    f(out);
  }
};
extern KernelSlot<GroupNormArgs> group_norm_slot;
extern KernelSlot<LayerNormArgs> layer_norm_slot;

// Adds Σ x and Σ x² of each group, over the rows [top, bottom) and columns [left, right) of a picture, to `sums`. Gives
// the statistics that a picture's tiles share (ops/tiled_norms.h).
struct GroupSumsArgs {
  View x;            // [height, width, channels]
  MutableView sums;  // [groups, 2] f64
  int64_t width, channels, groups, top, bottom, left, right;
  template <class F> void each_view(const F& f) {
    f(x);
    f(sums);
  }
};
extern KernelSlot<GroupSumsArgs> group_sums_slot;

// All float32.
struct GroupNormGradArgs {
  GroupNormArgs forward;  // `out` is not used
  View dy;                // of the result
  MutableView dx, dgain, dbias;
  template <class F> void each_view(const F& f) {
    forward.each_view(f);
    f(dy);
    f(dx);
    f(dgain);
    f(dbias);
  }
};
struct LayerNormGradArgs {
  View x, gain, dy;
  MutableView dx, dgain, dbias;
  int64_t rows, channels;
  double eps;
  template <class F> void each_view(const F& f) {
    f(x);
    f(gain);
    f(dy);
    f(dx);
    f(dgain);
    f(dbias);
  }
};
extern KernelSlot<GroupNormGradArgs> group_norm_grad_slot;
extern KernelSlot<LayerNormGradArgs> layer_norm_grad_slot;

}  // namespace sumi
