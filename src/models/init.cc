#include "models/init.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <string_view>

#include "ops/elementwise.h"

namespace sumi::models {
namespace {

bool ends_with_any(std::string_view name, const std::array<std::string_view, 6>& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

// "a.b.weight" and "a.b.bias" belong together.
std::string layer_of(const std::string& name) { return name.substr(0, name.rfind('.') + 1); }

}  // namespace

void initialise(nn::Module& module, Generator& generator, Device device) {
  std::map<std::string, int64_t> fan_in;  // by layer, for the biases; norms have no fan-in
  nn::for_each_param(module, "", [&](const std::string& name, nn::Param& param) {
    if (param.shape.rank() >= 2) fan_in[layer_of(name)] = param.shape.numel() / param.shape[0];
  });
  nn::for_each_param(module, "", [&](const std::string& name, nn::Param& param) {
    Tensor value = Tensor::empty(param.shape);
    const HostEdit<float> values(value);
    const auto found = fan_in.find(layer_of(name));
    const bool is_table = name.find("embedding") != std::string::npos && param.shape.rank() == 2;
    if (is_table) {
      generator.randn(values.span());
      for (float& v : values) v *= 0.02f;
    } else if (found == fan_in.end()) {
      std::fill(values.begin(), values.end(), name.ends_with("weight") ? 1.0f : 0.0f);
    } else {
      const float bound = 1.0f / std::sqrt(static_cast<float>(found->second));
      generator.rand(values.span());
      for (float& v : values) v = bound * (2.0f * v - 1.0f);
    }
    param.value = value.to(device);
  });
}

void initialise_unet(nn::Module& unet, Generator& generator, Device device) {
  initialise(unet, generator, device);
  static constexpr std::array<std::string_view, 6> kZero{"out_layers.3.weight", "out_layers.3.bias", "proj_out.weight",
                                                         "proj_out.bias",       "out.2.weight",      "out.2.bias"};
  nn::for_each_param(unet, "", [&](const std::string& name, nn::Param& param) {
    if (ends_with_any("." + name, kZero)) param.value = Tensor::zeros(param.shape, DType::kF32, device);
  });
}

void initialise_text_encoder(nn::Module& encoder, Generator& generator, Device device) {
  initialise(encoder, generator, device);
  nn::for_each_param(encoder, "", [&](const std::string& name, nn::Param& param) {
    const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
    if (has("position_embedding")) {
      param.value = param.value * 0.2f;
    } else if (param.shape.rank() == 2 && !has("embedding") && !has("q_proj") && !has("k_proj")) {
      param.value = param.value * std::sqrt(3.0f);
    }
  });
}

}  // namespace sumi::models
