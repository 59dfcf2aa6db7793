// The names that a pickle may use, and what they become.
#pragma once

#include <optional>
#include <string_view>

#include "core/dtype.h"

namespace sumi::io {

enum class GlobalKind {
  kOrderedDict,
  kRebuildTensor,     // torch._utils._rebuild_tensor_v2
  kRebuildParameter,  // torch._utils._rebuild_parameter
  kStorage,           // torch.FloatStorage, …
  kParameterDict,     // torch.nn.modules.container.ParameterDict: a dictionary once its state is set
  kInert,             // kept as data, whatever it is "called" with
};

struct KnownGlobal {
  GlobalKind kind;
  DType dtype = DType::kF32;  // kStorage
};

// `name` is "module name". Names that are not listed are inert.
std::optional<KnownGlobal> known_global(std::string_view name);

// Whether a program that loads the pickle would run commands or code by this name: no model has it, an attack does.
bool is_dangerous_global(std::string_view name);

}  // namespace sumi::io
