// The host's memory: one caching allocator for all devices that work in it.
#pragma once

#include "core/allocator.h"

namespace sumi {

// Memory is 64-byte aligned. Freed blocks are kept for reuse (fresh pages cost more than the arithmetic on them), as
// long as live and kept bytes together exceed the peak of live bytes by at most an eighth.
Allocator& host_allocator();

struct HostMemory {
  int64_t live_bytes;    // handed out now
  int64_t cached_bytes;  // kept for reuse
  int64_t peak_bytes;    // largest live_bytes so far, or since the last forget_host_memory_peak()
};
HostMemory host_memory();

// Restarts the peak from the live bytes of now, to measure one piece of work.
void forget_host_memory_peak();

// Returns every kept block to the system.
void release_cached_host_memory();

}  // namespace sumi
