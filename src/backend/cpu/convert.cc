// Conversions in integer arithmetic, with the bits of core/dtype.h on every instruction set: Highway's own leave
// infinities, NaN and subnormals of f16 to the machine.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/convert.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include "backend/cpu/convert.h"
#include "backend/cpu/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

// Lanes hold the 16 bits of a value below 16 zeros, or the 32 of a float.
template <class D> using Bits = hn::Vec<hn::RebindToSigned<D>>;

template <class D> HWY_INLINE Bits<D> wide_of_half(D d, Bits<D> half) {
  const hn::RebindToSigned<D> di;
  const auto set = [&](int32_t value) HWY_ATTR { return hn::Set(di, value); };
  const auto magnitude = hn::And(half, set(0x7fff)), shifted = hn::ShiftLeft<13>(magnitude);
  const auto tiny = hn::BitCast(di, hn::Mul(hn::ConvertTo(d, magnitude), hn::Set(d, 0x1p-24f)));
  auto wide = hn::Add(shifted, set(112 << 23));
  wide = hn::IfThenElse(hn::Lt(magnitude, set(0x400)), tiny, wide);
  wide = hn::IfThenElse(hn::Gt(magnitude, set(0x7bff)), hn::Or(shifted, set(0x7f800000)), wide);
  return hn::Or(wide, hn::ShiftLeft<16>(hn::And(half, set(0x8000))));
}

template <class D> HWY_INLINE Bits<D> half_of_wide(D d, Bits<D> wide) {
  const hn::RebindToSigned<D> di;
  const auto set = [&](int32_t value) HWY_ATTR { return hn::Set(di, value); };
  const auto magnitude = hn::And(wide, set(0x7fffffff));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), set(1));
  auto half = hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, odd), set(0xfff - 0x38000000)));
  // Adding 0.5 puts the result bits of a subnormal at the bottom of the float, rounded to even.
  const auto tiny = hn::BitCast(di, hn::Add(hn::BitCast(d, magnitude), hn::Set(d, 0.5f)));
  half = hn::IfThenElse(hn::Lt(magnitude, set(0x38800000)), hn::Sub(tiny, set(0x3f000000)), half);
  half = hn::IfThenElse(hn::Gt(magnitude, set(0x477fefff)), set(0x7c00), half);  // rounds to 65536 or more
  half = hn::IfThenElse(hn::Gt(magnitude, set(0x7f800000)), set(0x7e00), half);
  return hn::Or(half, hn::And(hn::ShiftRight<16>(wide), set(0x8000)));
}

template <class D> HWY_INLINE Bits<D> bfloat_of_wide(D, Bits<D> wide) {
  const hn::RebindToSigned<D> di;
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, wide), odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, odd), hn::Set(du, 0x7fffu)));
  const auto cut = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x40u));
  const auto is_nan = hn::Gt(hn::And(wide, hn::Set(di, 0x7fffffff)), hn::Set(di, 0x7f800000));
  return hn::IfThenElse(is_nan, hn::BitCast(di, cut), hn::BitCast(di, rounded));
}

void run_widen(const Context& context, const View& x, float* out) {
  const auto* from = x.data<uint16_t>();
  const bool is_half = x.dtype == DType::kF16;
  for_chunks(context, x.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> di;
      const auto bits = hn::PromoteTo(di, hn::LoadU(hn::Rebind<uint16_t, decltype(d)>(), from + begin + i));
      const auto wide = is_half ? wide_of_half(d, bits) : hn::ShiftLeft<16>(bits);
      hn::StoreU(hn::BitCast(d, wide), d, out + begin + i);
    });
  });
}

void run_narrow(const Context& context, const float* x, const MutableView& out) {
  auto* to = out.data<uint16_t>();
  const bool is_half = out.dtype == DType::kF16;
  for_chunks(context, out.count, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_lanes(end - begin, [&](auto d, int64_t i) HWY_ATTR {
      const auto wide = hn::BitCast(hn::RebindToSigned<decltype(d)>(), hn::LoadU(d, x + begin + i));
      const auto bits = is_half ? half_of_wide(d, wide) : bfloat_of_wide(d, wide);
      const hn::Rebind<uint16_t, decltype(d)> d16;
      hn::StoreU(hn::DemoteTo(d16, bits), d16, to + begin + i);
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {

HWY_EXPORT(run_widen);
HWY_EXPORT(run_narrow);

void widen(const Context& context, const View& x, float* out) { HWY_DYNAMIC_DISPATCH(run_widen)(context, x, out); }
void narrow(const Context& context, const float* x, const MutableView& out) {
  HWY_DYNAMIC_DISPATCH(run_narrow)(context, x, out);
}

}  // namespace sumi::backend::cpu
#endif
