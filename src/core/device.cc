#include "core/device.h"

#include "base/check.h"

namespace sumi {

std::string_view name_of(Device device) {
  switch (device) {
    case Device::kRef: return "ref";
    case Device::kCpu: return "cpu";
    case Device::kCuda: return "cuda";
    case Device::kGuard: return "guard";
  }
  return "?";
}

Device device_from_name(std::string_view name) {
  for (Device device : {Device::kRef, Device::kCpu, Device::kCuda, Device::kGuard}) {
    if (name == name_of(device)) return device;
  }
  fail(ErrorKind::kUsage, "unknown `backend` \"{}\"", name);
}

}  // namespace sumi
