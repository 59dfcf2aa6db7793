#include "core/dtype.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "core/quantized.h"

namespace sumi {
namespace {

struct Row {
  DType dtype;
  int64_t size;
  std::string_view name, long_name;
};
constexpr std::array<Row, 23> kRows{{{DType::kF32, 4, "f32", "float32"},
                                     {DType::kF16, 2, "f16", "float16"},
                                     {DType::kBF16, 2, "bf16", "bfloat16"},
                                     {DType::kF64, 8, "f64", "float64"},
                                     {DType::kI64, 8, "i64", "int64"},
                                     {DType::kI32, 4, "i32", "int32"},
                                     {DType::kI16, 2, "i16", "int16"},
                                     {DType::kI8, 1, "i8", "int8"},
                                     {DType::kU64, 8, "u64", "uint64"},
                                     {DType::kU32, 4, "u32", "uint32"},
                                     {DType::kU16, 2, "u16", "uint16"},
                                     {DType::kU8, 1, "u8", "uint8"},
                                     {DType::kBool, 1, "bool", "boolean"},
                                     {DType::kF8E4M3, 1, "f8_e4m3", "float8_e4m3fn"},
                                     {DType::kF8E5M2, 1, "f8_e5m2", "float8_e5m2"},
                                     {DType::kQ8, 0, "q8_0", "q8"},
                                     {DType::kQ4, 0, "q4_0", "q4"},
                                     {DType::kQ4_1, 0, "q4_1", "q4_1"},
                                     {DType::kQ5_0, 0, "q5_0", "q5_0"},
                                     {DType::kQ5_1, 0, "q5_1", "q5_1"},
                                     {DType::kQ4K, 0, "q4_k", "q4_k"},
                                     {DType::kQ5K, 0, "q5_k", "q5_k"},
                                     {DType::kQ6K, 0, "q6_k", "q6_k"}}};

}  // namespace

int64_t size_of(DType dtype) {
  SUMI_CHECK_KIND(kInternal, !is_quantized(dtype), "a single element of type {} has no bytes of its own",
                  name_of(dtype));
  return kRows[static_cast<size_t>(dtype)].size;
}

int64_t bytes_of(DType dtype, int64_t count) {
  return is_quantized(dtype) ? count / block_of(dtype) * bytes_of_block(dtype) : count * size_of(dtype);
}

int64_t block_of(DType dtype) {
  if (!is_quantized(dtype)) return 1;
  return dtype >= DType::kQ4K ? kSuperBlock : kQuantBlock;
}

std::string_view name_of(DType dtype) { return kRows[static_cast<size_t>(dtype)].name; }

DType dtype_from_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const Row& row : kRows) {
    if (lower == row.name || lower == row.long_name) return row.dtype;
  }
  fail(ErrorKind::kUsage, "unknown data type \"{}\"; one of f32, f16, bf16, q8_0, q4_0 is expected", name);
}

bool is_floating(DType dtype) { return dtype <= DType::kF64 || dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2; }

Half to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {
    // Subnormal half: adding 0.5 puts the 10 result bits at the bottom of the float's mantissa, rounded to even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u))};
  }
  const uint32_t odd = (magnitude >> 13) & 1;
  return {static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13))};
}

BFloat16 to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}

}  // namespace sumi
