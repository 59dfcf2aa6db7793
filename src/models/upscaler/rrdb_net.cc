#include "models/upscaler/rrdb_net.h"

#include <string>

#include "nn/border.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/pixel_shuffle.h"

namespace sumi::models {
namespace {

constexpr nn::Conv2dConfig kConv3x3{.kernel = 3, .pad_begin = 1};
constexpr float kResidualScale = 0.2f;

Tensor lrelu(const Tensor& x) { return activate(x, Act::kLeakyRelu); }

}  // namespace

DenseBlock::DenseBlock(int64_t features, int64_t growth) {
  constexpr int64_t kConvs = 5;
  for (int64_t i = 0; i < kConvs; ++i)
    convs_.emplace_back(features + i * growth, i + 1 < kConvs ? growth : features, kConv3x3);
}

// At most the joined channels before and after the last growth live at once.
Tensor DenseBlock::operator()(const Tensor& x) const {
  Tensor joined = x;
  for (size_t i = 0; i + 1 < convs_.size(); ++i) {
    const Tensor grown = lrelu(convs_[i](joined));
    joined = concat_channels(joined, grown);
  }
  const Tensor change = convs_.back()(joined);
  return affine(kResidualScale, change, 1.0f, x);
}

int64_t DenseBlock::border() const {
  int64_t border = 0;
  for (const nn::Conv2d& conv : convs_) border += conv.border();
  return border;
}

void DenseBlock::visit(nn::ParamVisitor& v) {
  for (size_t i = 0; i < convs_.size(); ++i) v("conv" + std::to_string(i + 1), convs_[i]);
}

RrdbBlock::RrdbBlock(const RrdbConfig& c) {
  constexpr int64_t kDenseBlocks = 3;
  for (int64_t i = 0; i < kDenseBlocks; ++i) blocks_.emplace_back(c.features, c.growth);
}

Tensor RrdbBlock::operator()(const Tensor& x) const {
  Tensor h = x;
  for (const DenseBlock& block : blocks_) h = block(h);
  return affine(kResidualScale, h, 1.0f, x);
}

int64_t RrdbBlock::border() const {
  int64_t border = 0;
  for (const DenseBlock& block : blocks_) border += block.border();
  return border;
}

void RrdbBlock::visit(nn::ParamVisitor& v) {
  for (size_t i = 0; i < blocks_.size(); ++i) v("rdb" + std::to_string(i + 1), blocks_[i]);
}

RrdbNet::RrdbNet(const RrdbConfig& c)
    : config_(c),
      conv_first_(3 * c.unshuffle * c.unshuffle, c.features, kConv3x3),
      conv_body_(c.features, c.features, kConv3x3),
      conv_hr_(c.features, c.features, kConv3x3),
      conv_last_(c.features, 3, kConv3x3) {
  for (int64_t i = 0; i < c.blocks; ++i) body_.push_back(std::make_unique<RrdbBlock>(c));
  for (int64_t i = 0; i < c.upsamplings; ++i) conv_up_.emplace_back(c.features, c.features, kConv3x3);
}

Tensor RrdbNet::features(const Tensor& x, const BetweenSteps& between) const {
  const Tensor first = conv_first_(pixel_unshuffle(x, config_.unshuffle));
  Tensor h = first;
  for (const auto& block : body_) {
    h = (*block)(h);
    if (between) between();
  }
  return conv_body_(h, first);
}

Tensor RrdbNet::operator()(const Tensor& x, const BetweenSteps& between) const {
  Tensor h = features(x, between);
  for (const nn::Conv2d& conv : conv_up_) {
    h = upsample_nearest_2x(h);
    h = conv(h);
    h = lrelu(h);
    if (between) between();
  }
  h = conv_hr_(h);
  h = lrelu(h);
  return conv_last_(h);
}

int64_t RrdbNet::border() const {
  int64_t border = conv_last_.border() + conv_hr_.border();
  for (size_t i = conv_up_.size(); i-- > 0;) border = nn::border_before_enlarging(border + conv_up_[i].border());
  border += conv_body_.border();
  for (const auto& block : body_) border += block->border();
  return nn::border_before_reducing(border + conv_first_.border(), config_.unshuffle);
}

int64_t RrdbNet::peak_bytes(int64_t height, int64_t width) const {
  const RrdbConfig& c = config_;
  // What the last dense block of a block works beside: the first features, the block's input, its own.
  const int64_t kept = (c.blocks > 1 ? 3 : 2) * c.features;
  const int64_t blocks = kept + 2 * c.features + 8 * c.growth;  // joined channels without the last growth, it, and with
  const int64_t enlarged = 2 * c.features << 2 * c.upsamplings;  // input and output of a layer
  const int64_t pixels = height * width / (c.unshuffle * c.unshuffle);
  return std::max(blocks, enlarged) * pixels * static_cast<int64_t>(sizeof(float));
}

void RrdbNet::visit(nn::ParamVisitor& v) {
  v("conv_first", conv_first_);
  for (size_t i = 0; i < body_.size(); ++i) v("body." + std::to_string(i), *body_[i]);
  v("conv_body", conv_body_);
  for (size_t i = 0; i < conv_up_.size(); ++i) v("conv_up" + std::to_string(i + 1), conv_up_[i]);
  v("conv_hr", conv_hr_);
  v("conv_last", conv_last_);
}

}  // namespace sumi::models
