// A place where backends put their kernel for one op.
//
// Each op's header declares its kernel's arguments, a struct of views and sizes, and a slot for the kernel. A backend
// fills the slot for its device with a static KernelRegistration. An op whose slot is empty for a device falls back to
// a composition of other ops or throws.
//
// An argument struct has a function each_view(f), which calls f on every view it holds: code that treats all kernels
// alike (storage types, devices that guard their memory) needs no list of ops.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "core/context.h"
#include "core/device.h"

namespace sumi {

template <class Args> using Kernel = void(Context& context, const Args& args);

// What is common to the slots of all ops.
class AnyKernelSlot {
 public:
  std::string_view op() const { return op_; }
  virtual bool has(Device device) const = 0;
  // All slots for which some backend of this program has a kernel.
  static std::vector<const AnyKernelSlot*> all();

 protected:
  explicit constexpr AnyKernelSlot(std::string_view op) : op_(op) {}
  ~AnyKernelSlot() = default;
  void list();

 private:
  std::string_view op_;
  const AnyKernelSlot* next_ = nullptr;
  bool listed_ = false;
};

template <class Args> class KernelSlot final : public AnyKernelSlot {
 public:
  using Arguments = Args;
  explicit constexpr KernelSlot(std::string_view op) : AnyKernelSlot(op) {}

  void set(Device device, Kernel<Args>* kernel) {
    kernels_[static_cast<size_t>(device)] = kernel;
    list();
  }
  bool has(Device device) const override { return kernels_[static_cast<size_t>(device)] != nullptr; }
  // The kernel for `device`; kCpu uses kRef's where it has no vector kernel (they share the host's memory). Throws
  // Error(kUnavailable) where there is none.
  Kernel<Args>& on(Device device) const {
    Kernel<Args>* kernel = kernels_[static_cast<size_t>(device)];
    if (kernel == nullptr && device == Device::kCpu) kernel = kernels_[static_cast<size_t>(Device::kRef)];
    SUMI_CHECK_KIND(kUnavailable, kernel != nullptr, "op {} is not available on the backend {}", op(), name_of(device));
    return *kernel;
  }
  // Runs it in the thread's context.
  void operator()(Device device, const Args& args) const { on(device)(Context::current(), args); }

 private:
  std::array<Kernel<Args>*, kDeviceCount> kernels_{};
};

template <class Args> struct KernelRegistration {
  KernelRegistration(KernelSlot<Args>& slot, Device device, Kernel<Args>* kernel) { slot.set(device, kernel); }
};

}  // namespace sumi
