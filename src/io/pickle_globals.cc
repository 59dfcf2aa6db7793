#include "io/pickle_globals.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sumi::io {

std::optional<KnownGlobal> known_global(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, KnownGlobal>, 30> kKnown{{
      {"collections OrderedDict", {GlobalKind::kOrderedDict}},
      {"torch._utils _rebuild_tensor_v2", {GlobalKind::kRebuildTensor}},
      {"torch._utils _rebuild_parameter", {GlobalKind::kRebuildParameter}},
      {"torch.nn.modules.container ParameterDict", {GlobalKind::kParameterDict}},
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

bool is_dangerous_global(std::string_view name) {
  // Modules and whatever is in them.
  static constexpr std::string_view kModules[] = {"os",
                                                  "posix",
                                                  "nt",
                                                  "subprocess",
                                                  "sys",
                                                  "pkgutil",
                                                  "importlib",
                                                  "imp",
                                                  "runpy",
                                                  "code",
                                                  "codeop",
                                                  "socket",
                                                  "shutil",
                                                  "ctypes",
                                                  "pickle",
                                                  "_pickle",
                                                  "marshal",
                                                  "pty",
                                                  "pip",
                                                  "webbrowser",
                                                  "timeit",
                                                  "pdb",
                                                  "bdb",
                                                  "profile",
                                                  "cProfile",
                                                  "trace",
                                                  "zipimport",
                                                  "asyncio",
                                                  "urllib",
                                                  "urllib2",
                                                  "multiprocessing",
                                                  "http",
                                                  "requests",
                                                  "commands",
                                                  "popen2",
                                                  "joblib",
                                                  "dill",
                                                  "cloudpickle",
                                                  "torch.hub",
                                                  "numpy.testing"};
  // Of modules that are otherwise harmless.
  static constexpr std::string_view kNames[] = {"operator attrgetter", "operator methodcaller", "types FunctionType",
                                                "types CodeType", "torch load"};
  // What may be named of Python's builtins.
  static constexpr std::string_view kBuiltins[] = {"set",  "frozenset", "dict",    "list",  "tuple",  "int",
                                                   "long", "float",     "complex", "str",   "bytes",  "bytearray",
                                                   "bool", "object",    "slice",   "range", "unicode"};
  const size_t space = name.find(' ');
  const std::string_view module = name.substr(0, space);
  if (module == "builtins" || module == "__builtin__") {
    const std::string_view what = space == std::string_view::npos ? std::string_view() : name.substr(space + 1);
    return std::find(std::begin(kBuiltins), std::end(kBuiltins), what) == std::end(kBuiltins);
  }
  const bool listed = std::any_of(std::begin(kModules), std::end(kModules), [&](std::string_view one) {
    return module == one || (module.starts_with(one) && module[one.size()] == '.');
  });
  return listed || std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace sumi::io
