#include "backend/cpu/scratch.h"

#include <sys/mman.h>

#include <cstdlib>

#include "base/check.h"

namespace sumi::backend::cpu {
namespace {

struct Scratch {
  float* data = nullptr;
  size_t capacity = 0;

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data); }

  // The block, reallocated where it is smaller than `floats`.
  float* of_at_least(size_t floats) {
    if (floats <= capacity) return data;
    std::free(data);
    data = nullptr;
    capacity = 0;
    // Large blocks in pages of 2 MB: kernels walk over them in strides that touch many small pages at once.
    constexpr size_t kHugePage = size_t{2} << 20;
    const size_t alignment = floats * sizeof(float) >= kHugePage ? kHugePage : 64;
    const size_t bytes = (floats * sizeof(float) + alignment - 1) / alignment * alignment;
    data = static_cast<float*>(std::aligned_alloc(alignment, bytes));
    SUMI_CHECK_KIND(kUnavailable, data != nullptr, "out of memory: {} KB of scratch were needed", bytes >> 10);
    if (alignment == kHugePage) madvise(data, bytes, MADV_HUGEPAGE);
    capacity = bytes / sizeof(float);
    return data;
  }
};

}  // namespace

// NOLINTBEGIN(clang-analyzer-unix.Malloc): taken for the freed block, which of_at_least() replaced
float* thread_scratch(size_t floats) {
  thread_local Scratch scratch;
  return scratch.of_at_least(floats);
}

float* shared_scratch(size_t floats) {
  thread_local Scratch scratch;
  return scratch.of_at_least(floats);
}
// NOLINTEND(clang-analyzer-unix.Malloc)

}  // namespace sumi::backend::cpu
