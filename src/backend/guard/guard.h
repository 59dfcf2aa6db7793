// A device whose memory nobody can touch by accident, for tests alone.
//
// Its memory is mapped without access rights: a read or a write anywhere but in a kernel or a copy ends the program.
// Kernels are those of the cpu backend (and of ref, where that has none), run while the blocks that their views name
// are open. So whatever runs on it would run on a graphics card, as far as memory goes.
#pragma once

#include <atomic>
#include <cstdint>

namespace sumi::backend::guard {

// Stands for a graphics card's queue: put into a context, it counts the kernels that were run in it.
struct Queue {
  std::atomic<int64_t> kernels{0};
};

}  // namespace sumi::backend::guard
