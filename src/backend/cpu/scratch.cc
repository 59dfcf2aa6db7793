#include "backend/cpu/scratch.h"

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
    data = static_cast<float*>(std::aligned_alloc(64, floats * sizeof(float)));
    SUMI_CHECK_KIND(kUnavailable, data != nullptr, "out of memory: {} KB of scratch were needed", floats >> 8);
    capacity = floats;
  }
};

}  // namespace

float* thread_scratch(size_t floats) {
  thread_local Scratch scratch;
  if (floats > scratch.capacity) scratch.grow((floats + 15) / 16 * 16);
  return scratch.data;  // NOLINT(clang-analyzer-unix.Malloc): taken for the freed block, which grow() replaced
}

}  // namespace sumi::backend::cpu
