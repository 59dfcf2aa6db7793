// Modules with synthetic weights, without a checkpoint between.
#pragma once

#include <string>

#include "nn/module.h"
#include "tools/synthetic.h"

namespace sumi::test {

// Gives every parameter the values that a synthetic checkpoint has under `prefix` and its name.
inline void fill_synthetic(nn::Module& module, const std::string& prefix) {
  nn::for_each_param(module, prefix, [](const std::string& name, nn::Param& param) {
    param.value = Tensor::empty(param.shape);
    const HostEdit<float> values(param.value);
    tools::synthetic_values(name, param.shape, 0, values.span());
  });
}

}  // namespace sumi::test
