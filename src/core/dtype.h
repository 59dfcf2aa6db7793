// Element types of tensors and files, and scalar conversions between the floating-point ones.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

namespace sumi {

// Every type that safetensors names, and quantised weights (core/quantized.h). Activations are kF32, kF16 or kBF16,
// sums are always float32 or wider; the other types are storage.
enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  kF8E4M3,
  kF8E5M2,
  kQ8,  // ggml's names: q8_0, q4_0; both can be written, the others are only read
  kQ4,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ4K,
  kQ5K,
  kQ6K
};

// Bytes of one element; a quantised type has none: Error(kInternal).
int64_t size_of(DType dtype);

// Bytes of `count` consecutive elements; of a quantised type, whole blocks.
int64_t bytes_of(DType dtype, int64_t count);

// Whether values come in blocks with a scale.
inline bool is_quantized(DType dtype) { return dtype >= DType::kQ8; }
// Whether values can be rounded to it.
inline bool is_writable_quantized(DType dtype) { return dtype == DType::kQ8 || dtype == DType::kQ4; }
// Values in a block of a quantised type; 1 of the others.
int64_t block_of(DType dtype);

// Whether kernels take weights of this type.
inline bool is_weight_type(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || is_quantized(dtype);
}

// Whether activations come in this type.
inline bool is_activation_type(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

// "f32", "bf16", "i64", …
std::string_view name_of(DType dtype);

// The type of that name, case-insensitively ("F32", "float32" and "f32" alike); throws Error(kUsage) for any other.
DType dtype_from_name(std::string_view name);

bool is_floating(DType dtype);

// Bit patterns; value semantics are in the conversions below.
struct Half {
  uint16_t bits = 0;
};
struct BFloat16 {
  uint16_t bits = 0;
};

// IEEE binary16 -> float, exact; subnormals, infinities and NaN included.
inline float to_float(Half value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t exponent = (value.bits >> 10) & 0x1f;
  const uint32_t mantissa = value.bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormals and zero: exact in float
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}
inline float to_float(BFloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }
// OCP's 8-bit floats: E4M3 has no infinity and its NaN is 0x7f; E5M2 is the upper half of an f16.
struct Float8E4M3 {
  uint8_t bits = 0;
};
struct Float8E5M2 {
  uint8_t bits = 0;
};
inline float to_float(Float8E5M2 value) { return to_float(Half{static_cast<uint16_t>(value.bits << 8)}); }
inline float to_float(Float8E4M3 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x80) << 24;
  const uint32_t exponent = (value.bits >> 3) & 15, mantissa = value.bits & 7;
  if (exponent == 15 && mantissa == 7) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-9f));
}
inline float to_float(float value) { return value; }
inline float to_float(double value) { return static_cast<float>(value); }

// Round to nearest, ties to even, as PyTorch does; overflow goes to infinity.
Half to_half(float value);
BFloat16 to_bfloat16(float value);

// The nearest T: float, Half or BFloat16.
template <class T> T narrow_to(float value);
template <> inline float narrow_to<float>(float value) { return value; }
template <> inline Half narrow_to<Half>(float value) { return to_half(value); }
template <> inline BFloat16 narrow_to<BFloat16>(float value) { return to_bfloat16(value); }

// Calls f(T()) with the activation type T of that name: float, Half or BFloat16.
template <class F> void with_activation_type(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF16: return f(Half());
    case DType::kBF16: return f(BFloat16());
    default: return f(float());
  }
}

template <class T> constexpr DType dtype_of();
template <> constexpr DType dtype_of<float>() { return DType::kF32; }
template <> constexpr DType dtype_of<double>() { return DType::kF64; }
template <> constexpr DType dtype_of<Half>() { return DType::kF16; }
template <> constexpr DType dtype_of<BFloat16>() { return DType::kBF16; }
template <> constexpr DType dtype_of<int64_t>() { return DType::kI64; }
template <> constexpr DType dtype_of<int32_t>() { return DType::kI32; }
template <> constexpr DType dtype_of<uint8_t>() { return DType::kU8; }

}  // namespace sumi
