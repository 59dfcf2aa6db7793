// Casts between float32 and the other types of activations, in vectors; bit for bit those of the reference kernel,
// which does the rest.
#include "backend/cpu/convert.h"
#include "ops/layout.h"

namespace sumi::backend::cpu {
namespace {

void cast(Context& context, const CastArgs& a) {
  if (is_half(a.x.dtype) && a.out.dtype == DType::kF32) return widen(context, a.x, a.out.f32());
  if (a.x.dtype == DType::kF32 && is_half(a.out.dtype)) return narrow(context, a.x.f32(), a.out);
  cast_slot.on(Device::kRef)(context, a);
}

const KernelRegistration kCast(cast_slot, Device::kCpu, cast);

}  // namespace
}  // namespace sumi::backend::cpu
