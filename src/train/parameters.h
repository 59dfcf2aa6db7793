// The trained parameters, and averages of them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/fnv1a.h"
#include "nn/adapters.h"

namespace sumi::train {

struct NamedTensor {
  std::string name;
  Tensor value;
  double lr_scale = 1.0;  // factor on the run's learning rate
};

// The number of values in all parameters.
int64_t count_values(const std::vector<NamedTensor>& params);

// Replaces the parameters of `module` by float32 copies that require a gradient, and returns them. They are shared: the
// module computes with what an optimizer changes in place. Names are prefixed with `prefix`.
std::vector<NamedTensor> make_trainable(nn::Module& module, const std::string& prefix = "");

// The low-rank changes of the module's parameters (models/lora.h), "NAME.lora_down" and "NAME.lora_up", shared with the
// adapters, which are finished.
std::vector<NamedTensor> low_rank_parameters(const nn::Adapters& adapters, nn::Module& module,
                                             const std::string& prefix = "");

// Adds the values of the parameters whose names begin with one of `prefixes` to `hash`, except trained ones.
void add_frozen_values(Fnv1a& hash, nn::Module& module, std::initializer_list<std::string_view> prefixes = {""});

// The exponential moving average of parameters, for evaluation. (LDM's `LitEma`)
class Ema {
 public:
  // Starts as a copy of the parameters.
  Ema(const std::vector<NamedTensor>& params, double decay = 0.9999);
  // average = d·average + (1-d)·param with d = min(decay, (1+n)/(10+n)) at the n-th update, counted from 1.
  void update();
  const std::vector<NamedTensor>& averages() const { return averages_; }
  int64_t updates() const { return updates_; }
  // Swaps the averages with the parameters, in place, to evaluate the averages. A second call restores both.
  void swap();
  // Restores a saved state: copies the averages.
  void restore(const std::vector<Tensor>& averages, int64_t updates);

 private:
  std::vector<NamedTensor> params_, averages_;
  double decay_;
  int64_t updates_ = 0;
};

}  // namespace sumi::train
