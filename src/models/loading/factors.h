// Weights in 8-bit floats with a factor beside each: LAYER.weight times LAYER.scale_weight (or .weight_scale).
#pragma once

#include <memory>

#include "io/checkpoint.h"

namespace sumi::models {

// The file with each such weight multiplied by its factor, in f32 (the product may have more digits than f16 has), and
// without the factors; the file itself where there are none. Throws Error(kData) for a factor that is not one number.
std::unique_ptr<io::Checkpoint> with_factors_applied(std::unique_ptr<io::Checkpoint> file);

}  // namespace sumi::models
