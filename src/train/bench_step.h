// A training step to be timed: forward, backward, AdamW and the moving average.
#pragma once

#include <functional>

#include "core/device.h"

namespace sumi::train {

// A UNet of 25 million parameters (64 channels, multiplied by 1, 2, 4; two blocks per level; attention with 4 heads at
// every level; context 77x256) on 32 latents of 16x16x4. Each call of the result runs one step; it owns the model.
std::function<void()> make_bench_step(Device device);

}  // namespace sumi::train
