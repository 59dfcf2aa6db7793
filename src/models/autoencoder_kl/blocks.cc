#include "models/autoencoder_kl/blocks.h"

namespace sumi::models {
namespace {

constexpr nn::Conv2dConfig kConv3x3{.kernel = 3, .pad_begin = 1};

}  // namespace

VaeResBlock::VaeResBlock(int64_t in, int64_t out, int64_t groups)
    : norm1_(in, vae_norm(groups)),
      conv1_(in, out, kConv3x3),
      norm2_(out, vae_norm(groups)),
      conv2_(out, out, kConv3x3) {
  if (in != out) shortcut_.emplace(in, out, nn::Conv2dConfig{.kernel = 1});
}

// At 512x512 each activation holds 134 or 268 MB, so norms work in place and nothing lives longer than needed: the peak
// is x with its shortcut and the first convolution.
Tensor VaeResBlock::operator()(Tensor x) const {
  const Tensor skip = shortcut_ ? (*shortcut_)(x) : x;
  Tensor h = conv1_(norm1_(std::move(x)));
  return conv2_(norm2_(std::move(h)), skip);
}

void VaeResBlock::visit(nn::ParamVisitor& v) {
  v("norm1", norm1_);
  v("conv1", conv1_);
  v("norm2", norm2_);
  v("conv2", conv2_);
  if (shortcut_) v("nin_shortcut", *shortcut_);
}

VaeAttention::VaeAttention(int64_t channels, int64_t groups)
    : norm_(channels, vae_norm(groups, Act::kNone)),
      q_(channels, channels, {.conv_1x1 = true}),
      k_(channels, channels, {.conv_1x1 = true}),
      v_(channels, channels, {.conv_1x1 = true}),
      out_(channels, channels, {.conv_1x1 = true}) {}

Tensor VaeAttention::operator()(const Tensor& x) const {
  const Tensor h = norm_(x).reshape({x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
  const Tensor mixed = attention(q_(h), k_(h), v_(h), {.heads = 1});
  return out_(mixed, {.residual = x.reshape(h.shape())}).reshape(x.shape());
}

void VaeAttention::visit(nn::ParamVisitor& v) {
  v("norm", norm_);
  v("q", q_);
  v("k", k_);
  v("v", v_);
  v("proj_out", out_);
}

VaeMiddle::VaeMiddle(int64_t channels, int64_t groups)
    : block1_(channels, channels, groups), attention_(channels, groups), block2_(channels, channels, groups) {}

Tensor VaeMiddle::operator()(Tensor x) const { return block2_(attention_(block1_(std::move(x)))); }

void VaeMiddle::visit(nn::ParamVisitor& v) {
  v("block_1", block1_);
  v("attn_1", attention_);
  v("block_2", block2_);
}

}  // namespace sumi::models
