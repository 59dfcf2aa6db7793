// Lets kernels that compute on floats take activations that are stored as f16 or bf16: they run on float copies. That
// costs memory and time, but every op takes every type of activation.
#pragma once

#include <vector>

#include "backend/cpu/convert.h"
#include "core/allocator.h"
#include "core/kernel_slot.h"

namespace sumi::backend::cpu {

// Float copies that replace a kernel's views while it runs.
class FloatCopies {
 public:
  explicit FloatCopies(const Context& context) : context_(context) {}

  static bool needs(const View& view) { return view && is_half(view.dtype); }
  static bool needs(const WeightView&) { return false; }  // kernels widen weights themselves

  void replace(View& view) {
    if (needs(view)) view = copy_of(view);
  }
  // Only a kernel that works in place reads what it writes to, and then its input, which comes first, has a copy.
  void replace(MutableView& view) {
    if (!needs(view)) return;
    const MutableView stored = view;
    view = copy_of(stored, /*with_contents=*/false);
    outputs_.push_back({stored, view});
  }
  void replace(WeightView&) const {}

  // Rounds what the kernel wrote to the types that its outputs are stored in.
  void write_back() const {
    for (const Output& output : outputs_) narrow(context_, output.wide.f32(), output.stored);
  }

 private:
  struct Copy {
    View stored;
    MutableView wide;
    BufferPtr memory;
  };
  struct Output {
    MutableView stored, wide;
  };

  // Views of the same elements share a copy: kernels may work in place.
  MutableView copy_of(const View& view, bool with_contents = true) {
    for (const Copy& copy : copies_) {
      if (copy.stored.handle == view.handle && copy.stored.offset == view.offset && copy.stored.count == view.count)
        return copy.wide;
    }
    const BufferPtr memory = allocator_of(Device::kCpu).allocate(bytes_of(DType::kF32, view.count));
    const MutableView wide = view_of(static_cast<float*>(memory->handle()), view.count, view.device);
    if (with_contents) widen(context_, view, wide.f32());
    copies_.push_back({view, wide, memory});
    return wide;
  }

  const Context& context_;
  std::vector<Copy> copies_;
  std::vector<Output> outputs_;
};

// Makes a kernel for all types of activations from one for float32.
template <class Args, Kernel<Args>* kKernel> void f32_only(Context& context, const Args& args) {
  Args wide = args;
  bool needed = false;
  wide.each_view([&](const auto& view) { needed |= FloatCopies::needs(view); });
  if (!needed) return kKernel(context, args);
  FloatCopies copies(context);
  wide.each_view([&](auto& view) { copies.replace(view); });
  kKernel(context, wide);
  copies.write_back();
}

}  // namespace sumi::backend::cpu
