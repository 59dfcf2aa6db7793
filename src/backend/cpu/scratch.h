// Memory that a kernel needs while it runs, one block a thread, kept between calls.
#pragma once

#include <cstddef>

namespace sumi::backend::cpu {

// At least `floats` floats, 64-byte aligned, for the calling thread; contents are undefined. A later call on the same
// thread may hand out the same memory.
float* thread_scratch(size_t floats);

// The same, for what one kernel's tasks share: the calling thread's second block, valid until its next call.
float* shared_scratch(size_t floats);

}  // namespace sumi::backend::cpu
