// The JSON header of a safetensors file, read strictly.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"

namespace sumi::io {

struct HeaderEntry {
  TensorInfo info;
  uint64_t begin = 0, end = 0;  // bytes after the header
};

struct SafetensorsHeader {
  std::vector<HeaderEntry> entries;  // in the header's order
  std::map<std::string, std::string> metadata;
};

// Throws Error(kData) whose message begins with `file`.
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& file);

}  // namespace sumi::io
