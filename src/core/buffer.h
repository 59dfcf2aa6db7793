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

  // The device whose memory holds the block; Device::kCpu for every host device.
  Device device() const { return device_; }
  // How the device refers to the block: an address where it has addresses, else an object of the backend.
  void* handle() const { return handle_; }
  int64_t bytes() const { return bytes_; }
  // Whether this is allocated memory, not part of a file.
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
