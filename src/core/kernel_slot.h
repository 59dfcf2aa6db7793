// A place where backends put their kernel for one op.
//
// Each op's header declares a kernel signature and a slot of it. A backend fills the slot for its device with a static
// KernelRegistration. An op whose slot is empty for a device falls back to a composition of other ops or throws.
#pragma once

#include <array>
#include <string_view>

#include "base/check.h"
#include "core/device.h"

namespace sumi {

template <class Function> class KernelSlot {
 public:
  explicit constexpr KernelSlot(std::string_view op) : op_(op) {}

  void set(Device device, Function* kernel) { kernels_[static_cast<size_t>(device)] = kernel; }
  bool has(Device device) const { return kernels_[static_cast<size_t>(device)] != nullptr; }
  // The kernel for `device`; throws Error(kUnavailable) where there is none.
  Function& on(Device device) const {
    Function* kernel = kernels_[static_cast<size_t>(device)];
    SUMI_CHECK_KIND(kUnavailable, kernel != nullptr, "op {} is not available on the backend {}", op_, name_of(device));
    return *kernel;
  }

 private:
  std::string_view op_;
  std::array<Function*, kDeviceCount> kernels_{};
};

template <class Function> struct KernelRegistration {
  KernelRegistration(KernelSlot<Function>& slot, Device device, Function* kernel) { slot.set(device, kernel); }
};

}  // namespace sumi
