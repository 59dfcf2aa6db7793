// Where an op runs. A tensor carries its device; an op runs on the device of its inputs.
#pragma once

#include <string_view>
#include <vector>

namespace sumi {

// kRef: plain loops with double accumulation, the specification; kCpu: vector kernels. Both address host memory.
enum class Device : unsigned char { kRef, kCpu, kCuda };
inline constexpr int kDeviceCount = 3;

std::string_view name_of(Device device);         // "ref", "cpu", "cuda"
Device device_from_name(std::string_view name);  // throws Error(kUsage) for a name that is not one of them
constexpr bool is_host(Device device) { return device != Device::kCuda; }

}  // namespace sumi
