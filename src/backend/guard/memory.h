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

  // `handle` is a buffer's; throws Error(kInternal) for anything else.
  void open(void* handle);

 private:
  std::vector<void*> handles_;
};

}  // namespace sumi::backend::guard
