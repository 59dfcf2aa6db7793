#include "io/pickle_globals.h"

#include <array>
#include <utility>

namespace sumi::io {

std::optional<KnownGlobal> known_global(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, KnownGlobal>, 29> kKnown{{
      {"collections OrderedDict", {GlobalKind::kOrderedDict}},
      {"torch._utils _rebuild_tensor_v2", {GlobalKind::kRebuildTensor}},
      {"torch._utils _rebuild_parameter", {GlobalKind::kRebuildParameter}},
      {"torch FloatStorage", {GlobalKind::kStorage, DType::kF32}},
      {"torch HalfStorage", {GlobalKind::kStorage, DType::kF16}},
      {"torch BFloat16Storage", {GlobalKind::kStorage, DType::kBF16}},
      {"torch DoubleStorage", {GlobalKind::kStorage, DType::kF64}},
      {"torch LongStorage", {GlobalKind::kStorage, DType::kI64}},
      {"torch IntStorage", {GlobalKind::kStorage, DType::kI32}},
      {"torch ShortStorage", {GlobalKind::kStorage, DType::kI16}},
      {"torch CharStorage", {GlobalKind::kStorage, DType::kI8}},
      {"torch ByteStorage", {GlobalKind::kStorage, DType::kU8}},
      {"torch BoolStorage", {GlobalKind::kStorage, DType::kBool}},
      {"torch Size", {GlobalKind::kInert}},
      {"torch device", {GlobalKind::kInert}},
      {"torch float32", {GlobalKind::kInert}},
      {"torch float16", {GlobalKind::kInert}},
      {"torch bfloat16", {GlobalKind::kInert}},
      {"torch float64", {GlobalKind::kInert}},
      {"torch int64", {GlobalKind::kInert}},
      {"torch int32", {GlobalKind::kInert}},
      {"torch uint8", {GlobalKind::kInert}},
      {"torch bool", {GlobalKind::kInert}},
      {"numpy.core.multiarray scalar", {GlobalKind::kInert}},
      {"numpy dtype", {GlobalKind::kInert}},
      {"_codecs encode", {GlobalKind::kInert}},
      {"pytorch_lightning.callbacks.model_checkpoint ModelCheckpoint", {GlobalKind::kInert}},
      {"__builtin__ set", {GlobalKind::kInert}},
      {"builtins set", {GlobalKind::kInert}},
  }};
  for (const auto& [known, what] : kKnown) {
    if (known == name) return what;
  }
  return std::nullopt;
}

}  // namespace sumi::io
