// The layers that models are built from: parameters and a call.
#pragma once

#include <algorithm>

#include "nn/module.h"
#include "ops/attention.h"
#include "ops/conv.h"
#include "ops/embedding.h"
#include "ops/norm.h"

namespace sumi::nn {

struct LinearConfig {
  bool bias = true;
  bool conv_1x1 = false;  // stored as a 1x1 convolution [out,in,1,1]; either form is accepted
};

// x [.., in] → [.., out]. With the changes of the thread's context to its weight (nn/adapters.h), as Conv2d.
class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, LinearConfig config = {});
  Tensor operator()(const Tensor& x, LinearOptions options = {}) const;  // `options` without a change
  // The first half of the outputs times GELU of the second: x [.., in] → [.., out/2].
  Tensor gated(const Tensor& x) const;
  void visit(ParamVisitor& v) override;

 private:
  Param weight_, bias_;
  bool has_bias_;
};

struct Conv2dConfig {
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = -1;  // -1: as pad_begin
  bool bias = true;

  bool pads() const { return pad_begin > 0 || pad_end > 0; }
};

// x [N,H,W,in] → [N,H',W',out]. Where the thread's context wraps (Context::wrap_x, wrap_y), the padding in that
// direction is the other side of the picture instead of zeros; then there is no gradient (Error(kInternal) on a tape).
class Conv2d : public Module {
 public:
  Conv2d(int64_t in, int64_t out, Conv2dConfig config);
  Tensor operator()(const Tensor& x, const Tensor& residual = {}) const;
  // The gradient of the weight, from x and the gradient dy of the result; returned, not added to the weight's own.
  Tensor weight_gradient(const Tensor& x, const Tensor& dy) const;
  // How many pixels beside its own, on each side, a pixel of the result is made of (nn/border.h), for stride 1.
  int64_t border() const { return std::max(config_.pad_begin, config_.kernel - 1 - config_.pad_begin); }
  void visit(ParamVisitor& v) override;

 private:
  Param weight_, bias_;
  Conv2dConfig config_;
};

class GroupNorm : public Module {
 public:
  GroupNorm(int64_t channels, GroupNormOptions options);
  Tensor operator()(const Tensor& x) const;
  Tensor operator()(Tensor&& x) const;  // in x's own memory where no other tensor shares it
  void visit(ParamVisitor& v) override;

 private:
  Param weight_, bias_;
  GroupNormOptions options_;
};

// x [N,H,W,C]: each channel to mean 0 and variance 1 over all samples and pixels, then gain and bias. Training mode
// only: no running averages are kept. (Ioffe and Szegedy 2015)
class BatchNorm : public Module {
 public:
  explicit BatchNorm(int64_t channels, double eps = 1e-5);
  Tensor operator()(const Tensor& x) const;
  void visit(ParamVisitor& v) override;

 private:
  Param weight_, bias_;
  double eps_;
};

class LayerNorm : public Module {
 public:
  explicit LayerNorm(int64_t channels, double eps = 1e-5);
  Tensor operator()(const Tensor& x) const;
  void visit(ParamVisitor& v) override;

 private:
  Param weight_, bias_;
  double eps_;
};

class Embedding : public Module {
 public:
  Embedding(int64_t rows, int64_t width);
  // ids [..] i64, on the host whatever device the table is on → [.., width].
  Tensor operator()(const Tensor& ids) const;
  void visit(ParamVisitor& v) override;
  Device device() const { return weight_.value.device(); }

 private:
  Param weight_;
};

using sumi::timestep_embedding;

}  // namespace sumi::nn
