// The fast path of 3x3 convolutions.
#pragma once

#include "ops/conv.h"

namespace sumi::backend::cpu {

// Whether winograd_conv can do this convolution.
inline constexpr int64_t kWinogradSlice = 64;  // input channels whose weights are unpacked at once
bool winograd_applies(const ConvArgs& args);
// Where it applies, whether it is quicker than the direct kernel (conv_bench prints both).
bool winograd_pays(const Context& context, const ConvArgs& args);
void winograd_conv(const Context& context, const ConvArgs& args);

}  // namespace sumi::backend::cpu
