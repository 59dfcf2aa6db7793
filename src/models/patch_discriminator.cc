#include "models/patch_discriminator.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/init.h"
#include "ops/activation.h"

namespace sumi::models {

PatchDiscriminator::PatchDiscriminator(const DiscriminatorConfig& c) {
  constexpr int64_t kKernel = 4;
  const auto add = [&](int64_t in, int64_t out, int64_t stride, bool normed) {
    layers_.push_back({nn::Conv2d(in, out, {.kernel = kKernel, .stride = stride, .pad_begin = 1, .bias = !normed}),
                       normed ? std::make_unique<nn::BatchNorm>(out) : nullptr});
  };
  add(c.in_channels, c.width, 2, false);
  int64_t channels = c.width;
  for (int64_t i = 1; i <= c.layers; ++i) {
    const int64_t out = c.width * std::min<int64_t>(int64_t{1} << i, 8);
    add(channels, out, i < c.layers ? 2 : 1, true);
    channels = out;
  }
  add(channels, 1, 1, false);
}

Tensor PatchDiscriminator::operator()(const Tensor& x) const {
  Tensor h = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i].conv(h);
    if (layers_[i].norm) h = (*layers_[i].norm)(h);
    if (i + 1 < layers_.size()) h = activate(h, Act::kLeakyRelu);
  }
  return h;
}

// Numbered as the original's list of layers, in which activations count.
void PatchDiscriminator::visit(nn::ParamVisitor& v) {
  int64_t number = 0;
  for (Layer& layer : layers_) {
    v(fmt::format("main.{}", number++), layer.conv);
    if (layer.norm) v(fmt::format("main.{}", number++), *layer.norm);
    ++number;  // the activation
  }
}

void initialise_discriminator(PatchDiscriminator& module, Generator& generator, Device device) {
  constexpr float kDeviation = 0.02f;
  initialise(module, generator, Device::kCpu);
  nn::for_each_param(module, "", [&](const std::string& name, nn::Param& param) {
    if (name.ends_with("weight")) {
      const float mean = param.shape.rank() == 1 ? 1.0f : 0.0f;
      const HostEdit<float> values(param.value);
      generator.randn(values.span());
      for (float& value : values) value = mean + kDeviation * value;
    }
    param.value = param.value.to(device);
  });
}

}  // namespace sumi::models
