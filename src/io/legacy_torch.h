// torch.save's format of before 2020 (PyTorch 1.6): five pickles in a row, then the bytes of the storages.
//
//   magic number, protocol 1001, facts about the machine, the object, the storages' keys in order;
//   for each key 8 bytes with the number of elements, and the elements
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "io/pickle.h"

namespace sumi::io {

// Where the bytes of a storage lie in its file.
struct StorageBytes {
  uint64_t offset = 0, size = 0;
};

struct LegacyTorch {
  Pickle pickle;  // the object
  std::map<std::string, StorageBytes> storages;
};

bool is_legacy_torch(std::span<const uint8_t> contents);

// Throws Error(kData), beginning with `file`, for anything that does not follow the format, or bytes that are cut.
LegacyTorch read_legacy_torch(std::span<const uint8_t> contents, const std::string& file);

}  // namespace sumi::io
