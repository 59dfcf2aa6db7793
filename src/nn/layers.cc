#include "nn/layers.h"

#include "nn/adapters.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/window.h"

namespace sumi::nn {

Linear::Linear(int64_t in, int64_t out, LinearConfig config)
    : weight_{.shape = config.conv_1x1 ? Shape{out, in, 1, 1} : Shape{out, in},
              .value = {},
              .reshape_allowed = true,
              .adaptable = true},
      bias_{.shape = Shape{out}, .value = {}, .adaptable = true},
      has_bias_(config.bias) {}

Tensor Linear::operator()(const Tensor& x, LinearOptions options) const {
  const WeightInUse weight = in_use(weight_);
  options.change = weight.change;
  return linear(x, weight.value, value_in_use(bias_), options);
}

Tensor Linear::gated(const Tensor& x) const {
  const WeightInUse weight = in_use(weight_);
  return linear_geglu(x, weight.value, value_in_use(bias_), weight.change);
}

void Linear::visit(ParamVisitor& v) {
  v("weight", weight_);
  if (has_bias_) {
    v("bias", bias_);
  } else {
    v.absent("bias", bias_);
  }
}

Conv2d::Conv2d(int64_t in, int64_t out, Conv2dConfig config)
    : weight_{.shape = {out, in, config.kernel, config.kernel},
              .value = {},
              .reshape_allowed = config.kernel == 1,
              .adaptable = true},
      bias_{.shape = Shape{out}, .value = {}, .adaptable = true},
      config_(config) {}

namespace {

bool context_wraps() { return Context::current().wrap_x || Context::current().wrap_y; }

// x with its padding around it, taken from its other side where the context wraps; `options` then has none left.
Tensor with_wrapped_padding(const Tensor& x, Conv2dOptions& options) {
  const Context& context = Context::current();
  SUMI_CHECK_KIND(kInternal, context.tape == nullptr, "a convolution of a picture that wraps has no gradient");
  const int64_t begin = options.pad_begin, end = options.pad_end < 0 ? begin : options.pad_end;
  options.pad_begin = options.pad_end = 0;
  return window(x, -begin, x.dim(1) + end, -begin, x.dim(2) + end, {.y = context.wrap_y, .x = context.wrap_x});
}

}  // namespace

Tensor Conv2d::operator()(const Tensor& input, const Tensor& residual) const {
  const auto& [value, change] = in_use(weight_);
  Conv2dOptions options{.stride = config_.stride, .pad_begin = config_.pad_begin, .pad_end = config_.pad_end};
  const Tensor x = config_.pads() && context_wraps() ? with_wrapped_padding(input, options) : input;
  options.residual = residual;
  const Tensor y = conv2d(x, value.reshape(weight_.shape), value_in_use(bias_), options);
  if (!change) return y;
  options.residual = {};
  return linear(conv2d(x, change.down, {}, options) * change.scale, change.up, {}, {.residual = y});
}

Tensor Conv2d::weight_gradient(const Tensor& x, const Tensor& dy) const {
  SUMI_CHECK_KIND(kInternal, !config_.pads() || !context_wraps(),
                  "a convolution of a picture that wraps has no gradient");
  return conv2d_grad_weight(x, dy, weight_.shape,
                            {.stride = config_.stride, .pad_begin = config_.pad_begin, .pad_end = config_.pad_end});
}

void Conv2d::visit(ParamVisitor& v) {
  v("weight", weight_);
  if (config_.bias) {
    v("bias", bias_);
  } else {
    v.absent("bias", bias_);
  }
}

GroupNorm::GroupNorm(int64_t channels, GroupNormOptions options)
    : weight_{.shape = Shape{channels}, .value = {}, .adaptable = true},
      bias_{.shape = Shape{channels}, .value = {}, .adaptable = true},
      options_(options) {}

Tensor GroupNorm::operator()(const Tensor& x) const {
  return group_norm(x, value_in_use(weight_), value_in_use(bias_), options_);
}

Tensor GroupNorm::operator()(Tensor&& x) const {
  return group_norm(std::move(x), value_in_use(weight_), value_in_use(bias_), options_);
}

void GroupNorm::visit(ParamVisitor& v) {
  v("weight", weight_);
  v("bias", bias_);
}

BatchNorm::BatchNorm(int64_t channels, double eps)
    : weight_{Shape{channels}, {}}, bias_{Shape{channels}, {}}, eps_(eps) {}

Tensor BatchNorm::operator()(const Tensor& x) const {
  const int64_t channels = x.dim(-1);
  // A single sample of as many groups as channels.
  return group_norm(x.reshape({1, -1, channels}), weight_.value, bias_.value, {.groups = channels, .eps = eps_})
      .reshape(x.shape());
}

void BatchNorm::visit(ParamVisitor& v) {
  v("weight", weight_);
  v("bias", bias_);
}

LayerNorm::LayerNorm(int64_t channels, double eps)
    : weight_{.shape = Shape{channels}, .value = {}, .adaptable = true},
      bias_{.shape = Shape{channels}, .value = {}, .adaptable = true},
      eps_(eps) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  return layer_norm(x, value_in_use(weight_), value_in_use(bias_), eps_);
}

void LayerNorm::visit(ParamVisitor& v) {
  v("weight", weight_);
  v("bias", bias_);
}

Embedding::Embedding(int64_t rows, int64_t width) : weight_{Shape{rows, width}, {}} {}

Tensor Embedding::operator()(const Tensor& ids) const { return embedding(ids, weight_.value); }

void Embedding::visit(ParamVisitor& v) { v("weight", weight_); }

}  // namespace sumi::nn
