// Normalisation layers.
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
// The same in x's own memory where nobody else holds it: at 512x512 an autoencoder's activations are 134 to 268 MB
// each.
Tensor group_norm(Tensor&& x, const Tensor& gain, const Tensor& bias, const GroupNormOptions& options);

// x [.., C]: each row to mean 0 and variance 1, then gain and bias [C]. (Ba et al. 2016)
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps = 1e-5);

struct GroupNormArgs {
  const float *x, *gain, *bias;
  float* out;
  int64_t batch, pixels, channels, groups;
  double eps;
  Act act;
  const double* statistics = nullptr;  // [batch, groups, 2]: mean and variance to use instead of x's own
};
using GroupNormKernel = void(const GroupNormArgs& args);
using LayerNormKernel = void(const float* x, const float* gain, const float* bias, float* out, int64_t rows,
                             int64_t channels, double eps);
extern KernelSlot<GroupNormKernel> group_norm_slot;
extern KernelSlot<LayerNormKernel> layer_norm_slot;

struct GroupNormGradArgs {
  GroupNormArgs forward;  // `out` is not used
  const float* dy;        // of the result
  float *dx, *dgain, *dbias;
};
struct LayerNormGradArgs {
  const float *x, *gain, *dy;
  float *dx, *dgain, *dbias;
  int64_t rows, channels;
  double eps;
};
using GroupNormGradKernel = void(const GroupNormGradArgs& args);
using LayerNormGradKernel = void(const LayerNormGradArgs& args);
extern KernelSlot<GroupNormGradKernel> group_norm_grad_slot;
extern KernelSlot<LayerNormGradKernel> layer_norm_grad_slot;

}  // namespace sumi
