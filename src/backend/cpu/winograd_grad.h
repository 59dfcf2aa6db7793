// The fast path of the gradients of 3x3 convolutions' weights.
#pragma once

#include "ops/conv_grad.h"

namespace sumi::backend::cpu {

// Whether winograd_grad_weight can do this gradient.
bool winograd_grad_weight_applies(const ConvGradWeightArgs& args);
// Where it applies, whether it is quicker than the direct kernel (conv_grad_bench prints both).
bool winograd_grad_weight_pays(const ConvGradWeightArgs& args);
void winograd_grad_weight(const Context& context, const ConvGradWeightArgs& args);

}  // namespace sumi::backend::cpu
