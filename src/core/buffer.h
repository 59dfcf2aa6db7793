// A block of one device's memory that tensors share: from the device's allocator, or a part of a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/device.h"

namespace sumi {

class Buffer {
 public:
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // The device in whose memory the block is: Device::kCpu for the host's, whichever host device computes there.
  Device device() const { return device_; }
  // What the device knows the block by: an address for those that have addresses, else an object of the backend's own.
  void* handle() const { return handle_; }
  int64_t bytes() const { return bytes_; }
  // Memory of our own, not a file's.
  virtual bool is_fresh() const { return false; }

 protected:
  explicit Buffer(Device device) : device_(device) {}
  void* handle_ = nullptr;
  int64_t bytes_ = 0;

 private:
  Device device_;
};

using BufferPtr = std::shared_ptr<Buffer>;

}  // namespace sumi
