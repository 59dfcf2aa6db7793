// Two files of tensors as one.
#pragma once

#include <memory>
#include <string>

#include "io/checkpoint.h"

namespace sumi::models {

// `file` with the tensors of `part` in place of all of its own whose names begin with `prefix`; all of the part's do.
// Path, format and metadata are the file's.
std::shared_ptr<const io::Checkpoint> joined(std::shared_ptr<const io::Checkpoint> file,
                                             std::shared_ptr<const io::Checkpoint> part, const std::string& prefix);

}  // namespace sumi::models
