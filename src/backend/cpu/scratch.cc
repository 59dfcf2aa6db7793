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

  void grow(size_t floats) {
    std::free(data);
    data = nullptr;
    capacity = 0;
    // Large blocks in pages of 2 MB: kernels walk over them in strides that ask for many small pages at once.
    const size_t bytes = floats * sizeof(float), huge = size_t{2} << 20;
    const size_t alignment = bytes >= huge ? huge : 64;
    data = static_cast<float*>(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment));
    if (data != nullptr && alignment == huge) madvise(data, bytes, MADV_HUGEPAGE);
    SUMI_CHECK_KIND(kUnavailable, data != nullptr, "out of memory: {} KB of scratch were needed", floats >> 8);
    capacity = floats;
  }
};

}  // namespace

// NOLINTBEGIN(clang-analyzer-unix.Malloc): taken for the freed block, which grow() replaced
float* thread_scratch(size_t floats) {
  thread_local Scratch scratch;
  if (floats > scratch.capacity) scratch.grow((floats + 15) / 16 * 16);
  return scratch.data;
}

float* shared_scratch(size_t floats) {
  thread_local Scratch scratch;
  if (floats > scratch.capacity) scratch.grow((floats + 15) / 16 * 16);
  return scratch.data;
}
// NOLINTEND(clang-analyzer-unix.Malloc)

}  // namespace sumi::backend::cpu
