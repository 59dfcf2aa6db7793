// A checkpoint seen through another element type: what `--dtype` asks for.
#pragma once

#include <memory>

#include "io/checkpoint.h"

namespace sumi::pipeline {

// `inner` with every floating-point tensor rounded to `dtype` (f32, f16, bf16, q8_0 or q4_0) as it is asked for.
// Tensors that have the type already stay views of their file; the others become copies in memory.
std::shared_ptr<const io::Checkpoint> cast_checkpoint(std::shared_ptr<const io::Checkpoint> inner, DType dtype);

}  // namespace sumi::pipeline
