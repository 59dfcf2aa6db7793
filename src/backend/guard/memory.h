// The blocks of the guard device, and which are open.
#pragma once

#include <vector>

#include "core/allocator.h"

namespace sumi::backend::guard {

Allocator& allocator();

// Opens blocks for as long as it lives; a block that several hold open is closed by the last.
class OpenBlocks {
 public:
  OpenBlocks() = default;
  ~OpenBlocks();
  OpenBlocks(const OpenBlocks&) = delete;
  OpenBlocks& operator=(const OpenBlocks&) = delete;

  // Opens the block for reading, or for writing too. `handle` is a buffer's and the bytes are in it; otherwise throws
  // Error(kInternal).
  void open(void* handle, bool writes, int64_t offset, int64_t bytes);

 private:
  struct Opened {
    void* handle;
    bool writes;
  };
  std::vector<Opened> opened_;
};

}  // namespace sumi::backend::guard
