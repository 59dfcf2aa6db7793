// Converts activations between their storage type and the floats that kernels compute with.
#pragma once

#include "core/context.h"
#include "core/view.h"

namespace sumi::backend::cpu {

// Whether elements of the type are stored in two bytes and computed on as floats.
inline bool is_half(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16; }

// Writes the elements of x, f16 or bf16, as floats; exact.
void widen(const Context& context, const View& x, float* out);

// Writes the values nearest to x, ties to even, to `out`, f16 or bf16, as many as it has.
void narrow(const Context& context, const float* x, const MutableView& out);

}  // namespace sumi::backend::cpu
