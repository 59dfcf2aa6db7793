#include "models/lpips.h"

#include <fmt/format.h>

#include <array>

#include "models/loading/bind.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/loss.h"
#include "ops/max_pool.h"
#include "ops/unit_rows.h"

namespace sumi::models {
namespace {

constexpr std::array<int64_t, 5> kWidths{64, 128, 256, 512, 512};  // of VGG16's stages
constexpr std::array<int64_t, 5> kConvolutions{2, 2, 3, 3, 3};     // in them
constexpr std::array<float, 3> kShift{-0.030f, -0.088f, -0.188f};  // LPIPS's `ScalingLayer`
constexpr std::array<float, 3> kScale{0.458f, 0.448f, 0.450f};

}  // namespace

// The convolutions of VGG16. (Simonyan and Zisserman 2015)
class Lpips::Features : public nn::Module {
 public:
  Features() {
    int64_t in = 3;
    for (size_t stage = 0; stage < kWidths.size(); ++stage) {
      for (int64_t i = 0; i < kConvolutions[stage]; ++i, in = kWidths[stage])
        layers_.emplace_back(in, kWidths[stage], nn::Conv2dConfig{.kernel = 3, .pad_begin = 1});
    }
  }

  // The output of each stage.
  std::vector<Tensor> operator()(const Tensor& x) const {
    std::vector<Tensor> taps;
    Tensor h = x;
    size_t layer = 0;
    for (size_t stage = 0; stage < kWidths.size(); ++stage) {
      if (stage > 0) h = max_pool_2x2(h);
      for (int64_t i = 0; i < kConvolutions[stage]; ++i) h = activate(layers_[layer++](h), Act::kRelu);
      taps.push_back(h);
    }
    return taps;
  }

  // Numbered as torchvision's list of layers, in which activations and pools count.
  void visit(nn::ParamVisitor& v) override {
    int64_t number = 0;
    size_t layer = 0;
    for (const int64_t convolutions : kConvolutions) {
      for (int64_t i = 0; i < convolutions; ++i, number += 2) v(std::to_string(number), layers_[layer++]);
      ++number;
    }
  }

 private:
  std::vector<nn::Conv2d> layers_;
};

// A weight for each channel of each stage.
class Lpips::Heads : public nn::Module {
 public:
  Heads() {
    for (const int64_t width : kWidths) layers_.emplace_back(width, 1, nn::Conv2dConfig{.kernel = 1, .bias = false});
  }
  Tensor operator()(size_t stage, const Tensor& x) const { return layers_[stage](x); }
  void visit(nn::ParamVisitor& v) override {
    for (size_t i = 0; i < layers_.size(); ++i) v(fmt::format("lin{}.model.1", i), layers_[i]);
  }

 private:
  std::vector<nn::Conv2d> layers_;
};

Lpips::Lpips(const io::Checkpoint& vgg, const io::Checkpoint& heads, Device device)
    : features_(std::make_shared<Features>()), heads_(std::make_shared<Heads>()) {
  BindReport of_vgg, of_heads;
  bind_module(*features_, vgg, "features.", of_vgg, {.device = device});
  of_vgg.check();
  bind_module(*heads_, heads, "", of_heads, {.device = device});
  of_heads.check();
  // (x - shift) / scale for each channel, as a 1x1 convolution.
  std::vector<float> scale(9), shift(3);
  for (size_t c = 0; c < 3; ++c) {
    scale[4 * c] = 1.0f / kScale[c];
    shift[c] = -kShift[c] / kScale[c];
  }
  scale_ = Tensor::from(scale, {3, 3, 1, 1}, device);
  shift_ = Tensor::from(shift, {3}, device);
}

Tensor Lpips::operator()(const Tensor& x, const Tensor& y) const {
  const auto taps = [&](const Tensor& picture) { return (*features_)(conv2d(picture, scale_, shift_)); };
  const std::vector<Tensor> of_x = taps(x), of_y = taps(y);
  Tensor distance;
  for (size_t stage = 0; stage < of_x.size(); ++stage) {
    const Tensor difference = unit_rows(of_x[stage]) - unit_rows(of_y[stage]);
    const Tensor term = mean((*heads_)(stage, mul(difference, difference)));
    distance = distance ? distance + term : term;
  }
  return distance;
}

}  // namespace sumi::models
