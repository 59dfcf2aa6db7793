#include "core/allocator.h"

#include <array>

#include "base/check.h"
#include "core/host_memory.h"

namespace sumi {
namespace {

std::array<Allocator*, kDeviceCount>& table() {
  static std::array<Allocator*, kDeviceCount> allocators{};
  return allocators;
}

}  // namespace

void Allocator::upload(const std::byte* from, const Buffer& to, int64_t offset, int64_t bytes) {
  ++uploads_;
  uploaded_bytes_ += bytes;
  write(from, to, offset, bytes);
}

void Allocator::download(const Buffer& from, int64_t offset, std::byte* to, int64_t bytes) {
  ++downloads_;
  downloaded_bytes_ += bytes;
  read(from, offset, to, bytes);
}

CopyCounts Allocator::copies() const { return {uploads_, uploaded_bytes_, downloads_, downloaded_bytes_}; }

Allocator& allocator_of(Device device) {
  const Device memory = memory_of(device);
  if (memory == Device::kCpu) return host_allocator();
  Allocator* allocator = table()[static_cast<size_t>(memory)];
  SUMI_CHECK_KIND(kUnavailable, allocator != nullptr, "this program was built without the backend {}", name_of(device));
  return *allocator;
}

AllocatorRegistration::AllocatorRegistration(Device device, Allocator* allocator) {
  table()[static_cast<size_t>(memory_of(device))] = allocator;
}

}  // namespace sumi
