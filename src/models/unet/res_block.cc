#include "models/unet/res_block.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

Tensor resample(const Tensor& x, Resample direction, const LayerInput& c) {
  switch (direction) {
    case Resample::kNone: return x;
    case Resample::kDown: return mean_pool_2x2(x);
    case Resample::kUp: return upsample_nearest_2x(x, c.up_height, c.up_width);
  }
  return x;
}

}  // namespace

ResBlock::ResBlock(const Config& c)
    : config_(c),
      norm1_(c.in, {.groups = c.norm_groups, .act = Act::kSilu}),
      conv1_(c.in, c.out, {.kernel = 3, .pad_begin = 1}),
      emb_(c.time, c.scale_shift ? 2 * c.out : c.out),
      norm2_gain_{Shape{c.out}, {}},
      norm2_bias_{Shape{c.out}, {}},
      conv2_(c.out, c.out, {.kernel = 3, .pad_begin = 1}) {
  if (c.in != c.out) skip_.emplace(c.in, c.out, nn::Conv2dConfig{.kernel = 1});
}

Tensor ResBlock::operator()(const Tensor& x, const LayerInput& c) const {
  const Tensor emb = emb_(silu(c.emb));
  Tensor h = conv1_(resample(norm1_(x), config_.resample, c));
  if (config_.scale_shift) {
    h = scale_shift_norm(h, cast(emb, DType::kF32));
  } else {
    h = group_norm(add_per_channel(h, emb), norm2_gain_.value, norm2_bias_.value,
                   {.groups = config_.norm_groups, .act = Act::kSilu});
  }
  const Tensor from = resample(x, config_.resample, c);
  return conv2_(h, skip_ ? (*skip_)(from) : from);
}

// silu(norm(h)·(1 + scale) + shift): the scale and shift of each sample go into the norm's gain and bias.
Tensor ResBlock::scale_shift_norm(const Tensor& h, const Tensor& emb) const {
  const Tensor gain = as_f32(norm2_gain_.value), bias = as_f32(norm2_bias_.value);
  std::vector<Tensor> samples;
  for (int64_t n = 0; n < h.dim(0); ++n) {
    const Tensor halves = emb.rows(n, n + 1).reshape({2, config_.out});
    const Tensor scale = halves.rows(0, 1).reshape({config_.out}), shift = halves.rows(1, 2).reshape({config_.out});
    const Tensor one_plus = affine(1.0f, scale, 0.0f, {}, 1.0f);
    samples.push_back(group_norm(h.rows(n, n + 1), mul(gain, one_plus), mul(bias, one_plus) + shift,
                                 {.groups = config_.norm_groups, .act = Act::kSilu}));
  }
  return concat_rows(samples);
}

void ResBlock::visit(nn::ParamVisitor& v) {
  v("in_layers.0", norm1_);
  v("in_layers.2", conv1_);
  v("emb_layers.1", emb_);
  v("out_layers.0.weight", norm2_gain_);
  v("out_layers.0.bias", norm2_bias_);
  v("out_layers.3", conv2_);
  if (skip_) v("skip_connection", *skip_);
}

ResampleLayer::ResampleLayer(int64_t channels, Resample direction, bool with_conv) : direction_(direction) {
  if (with_conv)
    conv_.emplace(channels, channels,
                  nn::Conv2dConfig{.kernel = 3, .stride = direction == Resample::kDown ? 2 : 1, .pad_begin = 1});
}

Tensor ResampleLayer::operator()(const Tensor& x, const LayerInput& c) const {
  if (direction_ == Resample::kDown) return conv_ ? (*conv_)(x) : mean_pool_2x2(x);
  const Tensor doubled = upsample_nearest_2x(x, c.up_height, c.up_width);
  return conv_ ? (*conv_)(doubled) : doubled;
}

void ResampleLayer::visit(nn::ParamVisitor& v) {
  if (conv_) v(direction_ == Resample::kDown ? "op" : "conv", *conv_);
}

}  // namespace sumi::models
