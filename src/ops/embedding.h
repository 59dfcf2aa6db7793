// Table look-up.
#pragma once

#include "core/tensor.h"

namespace sumi {

// ids [..] i64, table [rows, D] f32, f16 or bf16 → [.., D] float32 on the table's device. Throws Error(kData) for an id
// outside the table.
Tensor embedding(const Tensor& ids, const Tensor& table);

}  // namespace sumi
