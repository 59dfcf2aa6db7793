// 3x3 convolution to a few channels: the last layer of the UNet, the decoder and the encoder.
#pragma once

#include "ops/conv.h"

namespace sumi::backend::cpu {

// The same sums as the direct algorithm's, up to their order.
bool few_outputs_apply(const ConvArgs& args);
void few_outputs_conv(const Context& context, const ConvArgs& args);

}  // namespace sumi::backend::cpu
