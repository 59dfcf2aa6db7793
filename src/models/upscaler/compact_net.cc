#include "models/upscaler/compact_net.h"

#include <algorithm>
#include <string>

#include "ops/matmul.h"
#include "ops/pixel_shuffle.h"
#include "ops/prelu.h"

namespace sumi::models {
namespace {

constexpr nn::Conv2dConfig kConv3x3{.kernel = 3, .pad_begin = 1};

// [3·s², 3]: repeats each channel s² times.
Tensor repeat_matrix(int64_t scale, Device device) {
  const int64_t copies = scale * scale;
  Tensor out = Tensor::zeros({3 * copies, 3});
  {
    const HostEdit<float> values(out);
    for (int64_t i = 0; i < 3 * copies; ++i) values[i * 3 + i / copies] = 1.0f;
  }
  return out.to(device);
}

}  // namespace

CompactNet::CompactNet(const CompactConfig& c) : config_(c) {
  convs_.emplace_back(3, c.features, kConv3x3);
  for (int64_t i = 0; i < c.convolutions; ++i) convs_.emplace_back(c.features, c.features, kConv3x3);
  for (int64_t i = 0; i <= c.convolutions; ++i) slopes_.push_back({.shape = Shape{c.features}, .value = {}});
  convs_.emplace_back(c.features, 3 * c.scale * c.scale, kConv3x3);
}

Tensor CompactNet::operator()(const Tensor& x, const BetweenSteps& between) const {
  Tensor h = x;
  for (size_t i = 0; i < slopes_.size(); ++i) {
    h = convs_[i](h);
    h = prelu(h, slopes_[i].value);
    if (between) between();
  }
  h = convs_.back()(h, linear(x, repeat_matrix(config_.scale, x.device()), {}));
  h = pixel_shuffle(h, config_.scale);
  if (between) between();
  return h;
}

int64_t CompactNet::border() const {
  int64_t border = 0;
  for (const nn::Conv2d& conv : convs_) border += conv.border();
  return border;
}

int64_t CompactNet::peak_bytes(int64_t height, int64_t width) const {
  const int64_t out = 3 * config_.scale * config_.scale;
  // Input and output of a layer; or those of the last and the repeated picture.
  return std::max(2 * config_.features, config_.features + 2 * out) * height * width *
         static_cast<int64_t>(sizeof(float));
}

// Numbered as the original's list of layers, in which activations count.
void CompactNet::visit(nn::ParamVisitor& v) {
  for (size_t i = 0; i < convs_.size(); ++i) {
    v("body." + std::to_string(2 * i), convs_[i]);
    if (i < slopes_.size()) v("body." + std::to_string(2 * i + 1) + ".weight", slopes_[i]);
  }
}

}  // namespace sumi::models
