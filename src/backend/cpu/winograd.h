// The fast path of 3x3 convolutions.
#pragma once

#include "ops/conv.h"

namespace sumi::backend::cpu {

// Whether winograd_conv can do this convolution and is quicker than the direct kernel.
bool winograd_pays(const ConvArgs& args);
void winograd_conv(const ConvArgs& args);

}  // namespace sumi::backend::cpu
