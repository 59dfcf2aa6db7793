#include "train/adamw.h"

#include <cmath>

#include "ops/optimizer.h"

namespace sumi::train {

AdamW::AdamW(const std::vector<NamedTensor>& params, const AdamWOptions& options) : params_(params), options_(options) {
  for (const NamedTensor& param : params) {
    state_.first.push_back(Tensor::zeros(param.value.shape(), DType::kF32, param.value.device()));
    state_.second.push_back(Tensor::zeros(param.value.shape(), DType::kF32, param.value.device()));
  }
}

void AdamW::step(double lr, double grad_scale) {
  ++state_.steps;
  const double n = static_cast<double>(state_.steps);
  for (size_t i = 0; i < params_.size(); ++i) {
    Tensor& param = params_[i].value;
    const Tensor grad = param.grad();
    if (!grad) continue;
    const double rate = lr * params_[i].lr_scale;
    adamw(param, grad, state_.first[i], state_.second[i],
          {.grad_scale = static_cast<float>(grad_scale),
           .decay = static_cast<float>(1.0 - rate * options_.weight_decay),
           .beta1 = static_cast<float>(options_.beta1),
           .beta2 = static_cast<float>(options_.beta2),
           .eps = static_cast<float>(options_.eps),
           .step_size = static_cast<float>(rate / (1.0 - std::pow(options_.beta1, n))),
           .correction = static_cast<float>(std::sqrt(1.0 - std::pow(options_.beta2, n)))});
    param.clear_grad();
  }
}

double AdamW::grad_norm() const {
  std::vector<Tensor> grads;
  for (const NamedTensor& param : params_) grads.push_back(param.value.grad());
  return global_norm(grads);
}

void AdamW::restore(const State& state) {
  SUMI_CHECK(state.first.size() == params_.size() && state.second.size() == params_.size(),
             "the optimizer's state has {} parameters, the model {}", state.first.size(), params_.size());
  for (size_t i = 0; i < params_.size(); ++i) {
    SUMI_CHECK(
        state.first[i].shape() == params_[i].value.shape() && state.second[i].shape() == params_[i].value.shape(),
        "the optimizer's state for {} is {}, the parameter {}", params_[i].name, state.first[i].shape().str(),
        params_[i].value.shape().str());
    state_.first[i].copy_from(state.first[i]);
    state_.second[i].copy_from(state.second[i]);
  }
  state_.steps = state.steps;
}

}  // namespace sumi::train
