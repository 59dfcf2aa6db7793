#include "train/parameters.h"

#include <algorithm>

#include "ops/layout.h"
#include "ops/optimizer.h"

namespace sumi::train {

int64_t count_values(const std::vector<NamedTensor>& params) {
  int64_t values = 0;
  for (const NamedTensor& param : params) values += param.value.numel();
  return values;
}

std::vector<NamedTensor> make_trainable(nn::Module& module, const std::string& prefix) {
  std::vector<NamedTensor> params;
  nn::for_each_param(module, prefix, [&](const std::string& name, nn::Param& param) {
    const bool is_f32 = param.value.dtype() == DType::kF32;
    param.value = (is_f32 ? param.value.clone() : cast(param.value, DType::kF32)).reshape(param.shape);
    param.value.set_requires_grad(true);
    params.push_back({name, param.value});
  });
  return params;
}

std::vector<NamedTensor> low_rank_parameters(const nn::Adapters& adapters, nn::Module& module,
                                             const std::string& prefix) {
  std::vector<NamedTensor> params;
  nn::for_each_param(module, prefix, [&](const std::string& name, nn::Param& param) {
    const nn::LowRank change = adapters(param).change;
    if (!change) return;
    params.push_back({name + ".lora_down", change.down});
    params.push_back({name + ".lora_up", change.up});
  });
  return params;
}

void add_frozen_values(Fnv1a& hash, nn::Module& module, std::initializer_list<std::string_view> prefixes) {
  nn::for_each_param(module, "", [&](const std::string& name, nn::Param& param) {
    const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
    if (param.value.requires_grad() || std::none_of(prefixes.begin(), prefixes.end(), begins)) return;
    const HostView<std::byte> bytes(param.value);
    hash.add(bytes.span());
  });
}

Ema::Ema(const std::vector<NamedTensor>& params, double decay) : params_(params), decay_(decay) {
  for (const NamedTensor& param : params) averages_.push_back({param.name, param.value.clone()});
}

void Ema::update() {
  ++updates_;
  const double n = static_cast<double>(updates_), decay = std::min(decay_, (1.0 + n) / (10.0 + n));
  for (size_t i = 0; i < params_.size(); ++i) move_average(averages_[i].value, params_[i].value, decay);
}

void Ema::swap() {
  for (size_t i = 0; i < params_.size(); ++i) {
    const Tensor kept = params_[i].value.clone();
    params_[i].value.copy_from(averages_[i].value);
    averages_[i].value.copy_from(kept);
  }
}

void Ema::restore(const std::vector<Tensor>& averages, int64_t updates) {
  SUMI_CHECK(averages.size() == averages_.size(), "{} averages for {} parameters", averages.size(), averages_.size());
  for (size_t i = 0; i < averages.size(); ++i) {
    Tensor& to = averages_[i].value;
    SUMI_CHECK(averages[i].shape() == to.shape(), "the average {} is {}, not {}", averages_[i].name,
               averages[i].shape().str(), to.shape().str());
    to.copy_from(averages[i]);
  }
  updates_ = updates;
}

}  // namespace sumi::train
