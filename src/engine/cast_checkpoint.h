// A checkpoint converted to another element type.
#pragma once

#include <memory>
#include <optional>

#include "io/checkpoint.h"

namespace sumi::engine {

// `inner` with every floating-point tensor rounded to `dtype` (f32, f16, bf16, q8_0 or q4_0) when it is requested.
// Tensors that have the type already stay views of their file; the others become copies in memory. tensor()
// warns of values that are not finite if quantising loses them. `convolutions`: the type, not a quantised one, of
// tensors of four dimensions, whose rows make no blocks in GGUF.
std::shared_ptr<const io::Checkpoint> cast_checkpoint(std::shared_ptr<const io::Checkpoint> inner, DType dtype,
                                                      std::optional<DType> convolutions = {});

}  // namespace sumi::engine
