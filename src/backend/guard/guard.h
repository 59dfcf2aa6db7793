// A device whose memory cannot be touched by accident, for tests only.
//
// Its memory is mapped without access rights: a read or a write anywhere but in a kernel or a copy ends the program.
// Its kernels are the cpu backend's (ref's where that has none), run while the blocks of their views are open. So a
// program that runs on it would run on a graphics card, as far as memory goes.
#pragma once

#include <atomic>
#include <cstdint>

namespace sumi::backend::guard {

// Stands in for a graphics card's queue: put into a context, it counts the kernels run there.
struct Queue {
  std::atomic<int64_t> kernels{0};
};

}  // namespace sumi::backend::guard
