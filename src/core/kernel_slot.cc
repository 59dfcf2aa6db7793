#include "core/kernel_slot.h"

namespace sumi {
namespace {

const AnyKernelSlot* g_first = nullptr;  // of the list; filled before main()

}  // namespace

void AnyKernelSlot::list() {
  if (listed_) return;
  listed_ = true;
  next_ = g_first;
  g_first = this;
}

std::vector<const AnyKernelSlot*> AnyKernelSlot::all() {
  std::vector<const AnyKernelSlot*> slots;
  for (const AnyKernelSlot* slot = g_first; slot != nullptr; slot = slot->next_) slots.push_back(slot);
  return slots;
}

}  // namespace sumi
