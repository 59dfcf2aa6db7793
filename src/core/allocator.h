// Memory of a device: allocating, filling and copying it.
//
// Each device with memory of its own registers an Allocator; the host's (allocator_of(Device::kCpu)) serves every host
// device. Copies between host and device are counted, because a graphics card waits for them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/buffer.h"

namespace sumi {

// Copies between the host and a device since the program began.
struct CopyCounts {
  int64_t uploads = 0, uploaded_bytes = 0;      // host to device
  int64_t downloads = 0, downloaded_bytes = 0;  // device to host
  CopyCounts operator-(const CopyCounts& earlier) const {
    return {uploads - earlier.uploads, uploaded_bytes - earlier.uploaded_bytes, downloads - earlier.downloads,
            downloaded_bytes - earlier.downloaded_bytes};
  }
  bool operator==(const CopyCounts&) const = default;
};

// Offsets and sizes are in bytes and lie inside the buffers; callers ensure that.
class Allocator {
 public:
  virtual ~Allocator() = default;

  // Uninitialised memory, aligned for any element. Throws Error(kUnavailable) where the device has none left.
  virtual BufferPtr allocate(int64_t bytes) = 0;
  // Repeats the four bytes of `pattern`; a tail of fewer than four bytes gets the first of them.
  virtual void fill(const Buffer& to, int64_t offset, int64_t bytes, uint32_t pattern) = 0;
  // Copies between two blocks of this device that do not overlap.
  virtual void copy(const Buffer& from, int64_t from_offset, const Buffer& to, int64_t to_offset, int64_t bytes) = 0;

  // Copy from host to device and back; both return when the bytes have arrived.
  void upload(const std::byte* from, const Buffer& to, int64_t offset, int64_t bytes);
  void download(const Buffer& from, int64_t offset, std::byte* to, int64_t bytes);
  CopyCounts copies() const;

 protected:
  virtual void write(const std::byte* from, const Buffer& to, int64_t offset, int64_t bytes) = 0;
  virtual void read(const Buffer& from, int64_t offset, std::byte* to, int64_t bytes) = 0;

 private:
  std::atomic<int64_t> uploads_{0}, uploaded_bytes_{0}, downloads_{0}, downloaded_bytes_{0};
};

// The allocator of the memory that `device` works in. Throws Error(kUnavailable) where this build has none.
Allocator& allocator_of(Device device);

// Goes at namespace scope in a backend's source; `allocator` must live as long as the program.
struct AllocatorRegistration {
  AllocatorRegistration(Device device, Allocator* allocator);
};

}  // namespace sumi
