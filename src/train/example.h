// A training picture and its caption.
#pragma once

#include <string>

#include "image/read.h"

namespace sumi::train {

struct Example {
  image::FilePart picture;
  std::string name;     // for messages: the file's path, or "SHARD.tar, NAME"
  std::string caption;  // may be empty
};

}  // namespace sumi::train
