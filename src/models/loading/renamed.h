// A file of tensors, seen under other names.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "io/checkpoint.h"

namespace sumi::models {

// What happens where two tensors get the same name.
enum class SameName : unsigned char {
  kRefuse,   // Error(kData)
  kKeepOwn,  // the one that has the name already stays, with a warning; without one, Error(kData)
};

// `name` gives a tensor's new name; an empty one leaves the tensor out.
std::unique_ptr<io::Checkpoint> renamed(std::shared_ptr<const io::Checkpoint> file,
                                        const std::function<std::string(const std::string&)>& name,
                                        SameName same = SameName::kRefuse,
                                        const std::map<std::string, std::string>& more_metadata = {});

}  // namespace sumi::models
