// Modules with synthetic weights, without a checkpoint.
#pragma once

#include <string>

#include "nn/module.h"
#include "tools/synthetic.h"

namespace sumi::test {

// Sets every parameter to the values of the synthetic checkpoint's tensor named `prefix` + its name.
inline void fill_synthetic(nn::Module& module, const std::string& prefix) {
  nn::for_each_param(module, prefix, [](const std::string& name, nn::Param& param) {
    param.value = Tensor::empty(param.shape);
    const HostEdit<float> values(param.value);
    tools::synthetic_values(name, param.shape, 0, values.span());
  });
}

}  // namespace sumi::test
