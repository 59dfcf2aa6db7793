// The archive that torch.save writes: a zip64 file of stored entries, each entry's bytes on a 64-byte boundary.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"

namespace sumi::tools {

class TorchZipWriter {
 public:
  explicit TorchZipWriter(AtomicFile& file) : file_(file) {}

  // Writes one entry. `name` is its full path in the archive.
  void add(const std::string& name, std::span<const std::byte> bytes);
  void add(const std::string& name, std::string_view text) { add(name, std::as_bytes(std::span(text))); }
  // Writes the directory; nothing may follow.
  void finish();

 private:
  struct Entry {
    std::string name;
    uint32_t crc;
    uint64_t size;
    uint64_t offset;  // of its local header
  };

  void write(const std::string& bytes);

  AtomicFile& file_;
  std::vector<Entry> entries_;
  uint64_t position_ = 0;
};

// A pickle of protocol 2 that holds {"state_dict": OrderedDict of tensors, "global_step": 0}: tensor i views storage
// "i" from its start, contiguous.
struct PickledTensor {
  std::string name;
  std::string storage_class;  // "FloatStorage", …
  std::vector<int64_t> dims;
};
std::string pickle_state_dict(const std::vector<PickledTensor>& tensors);

}  // namespace sumi::tools
