// The host's memory: one caching allocator for all devices that work in it.
#pragma once

#include "core/allocator.h"

namespace sumi {

// Memory is 64-byte aligned. Blocks that are given back are kept and handed out again (fresh pages cost more than the
// arithmetic on them), but never so many that the sum of live and kept bytes exceeds the largest sum of live bytes so
// far by more than an eighth.
Allocator& host_allocator();

struct HostMemory {
  int64_t live_bytes;    // handed out now
  int64_t cached_bytes;  // kept for reuse
  int64_t peak_bytes;    // largest live_bytes so far
};
HostMemory host_memory();

// Gives every kept block back to the system.
void release_cached_host_memory();

}  // namespace sumi
