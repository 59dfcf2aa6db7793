// A kernel of the guard device, made from the host's.
#pragma once

#include <type_traits>

#include "backend/guard/guard.h"
#include "backend/guard/memory.h"
#include "core/kernel_slot.h"
#include "core/view.h"

namespace sumi::backend::guard {

// Runs the host's kernel of the slot while the blocks of its views are open.
template <auto& kSlot>
void guarded(Context& context, const typename std::remove_reference_t<decltype(kSlot)>::Arguments& args) {
  auto open_args = args;
  OpenBlocks blocks;
  open_args.each_view([&]<class AnyView>(AnyView& view) {
    if (!view) return;
    SUMI_CHECK_KIND(kInternal, view.device == Device::kGuard, "op {}: a view of the {} among the guard device's",
                    kSlot.op(), name_of(view.device));
    blocks.open(view.handle, std::is_same_v<AnyView, MutableView>, view.offset, view.bytes());
    view.device = Device::kCpu;
  });
  if (context.queue != nullptr) ++static_cast<Queue*>(context.queue)->kernels;
  kSlot.on(Device::kCpu)(context, open_args);
}

}  // namespace sumi::backend::guard
