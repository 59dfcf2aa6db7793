// Where an op runs. A tensor carries its device; an op runs on the device of its inputs.
#pragma once

#include <string_view>
#include <vector>

namespace sumi {

// kRef: plain loops with double accumulation, the specification; kCpu: vector kernels. Both work in the host's memory.
// kGuard: memory of its own that nothing but its kernels and copies can reach; in tests only (backend/guard/).
enum class Device : unsigned char { kRef, kCpu, kCuda, kGuard };
inline constexpr int kDeviceCount = 4;

std::string_view name_of(Device device);         // "ref", "cpu", "cuda", "guard"
Device device_from_name(std::string_view name);  // throws Error(kUsage) for an unknown name

// Whether the device works in the host's memory, so that elements can be reached without a copy.
constexpr bool is_host(Device device) { return device == Device::kRef || device == Device::kCpu; }
// The device that stands for the memory that `device` works in: all host devices share kCpu's.
constexpr Device memory_of(Device device) { return is_host(device) ? Device::kCpu : device; }

}  // namespace sumi
