#include "backend/cpu/scratch.h"

#include <cstdlib>
#include <memory>

#include "base/check.h"

namespace sumi::backend::cpu {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};

}  // namespace

float* thread_scratch(size_t floats) {
  thread_local std::unique_ptr<float, Free> block;
  thread_local size_t capacity = 0;
  if (floats > capacity) {
    const size_t wanted = (floats + 15) / 16 * 16;
    capacity = 0;
    block = nullptr;
    block.reset(static_cast<float*>(std::aligned_alloc(64, wanted * sizeof(float))));
    SUMI_CHECK_KIND(kUnavailable, block != nullptr, "out of memory: {} KB of scratch were needed", wanted >> 8);
    capacity = wanted;
  }
  return block.get();
}

}  // namespace sumi::backend::cpu
