// A span of bytes that tensors share: heap memory from a caching allocator, or a part of a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sumi {

class Storage {
 public:
  virtual ~Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  // Memory of our own, not a file's.
  virtual bool is_fresh() const { return false; }

 protected:
  Storage() = default;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

using StoragePtr = std::shared_ptr<Storage>;

// Uninitialised memory, 64-byte aligned, from the host's caching allocator. Blocks that are given back are kept and
// handed out again (fresh pages cost more than the arithmetic on them), but never so many that the sum of live and kept
// bytes exceeds the largest sum of live bytes so far by more than an eighth. Throws Error(kUnavailable) where the
// system has no memory.
StoragePtr allocate_host(int64_t bytes);

struct HostMemory {
  int64_t live_bytes;    // handed out now
  int64_t cached_bytes;  // kept for reuse
  int64_t peak_bytes;    // largest live_bytes so far
};
HostMemory host_memory();

// Gives every kept block back to the system.
void release_cached_host_memory();

}  // namespace sumi
