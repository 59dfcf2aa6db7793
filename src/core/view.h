// A kernel's view of a tensor: where its elements are, their type and their number.
//
// A view owns nothing; the op that launches the kernel holds the tensors. Sizes beside the count are in the kernel's
// arguments. Only backends read elements through a view; all other code uses HostView (core/host_view.h).
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace sumi {

// Elements that a kernel reads. A view without a handle stands for an operand that is absent.
struct View {
  Device device = Device::kCpu;
  DType dtype = DType::kF32;
  void* handle = nullptr;  // of the buffer (core/buffer.h)
  int64_t offset = 0;      // bytes from the buffer's beginning
  int64_t count = 0;       // elements

  explicit operator bool() const { return handle != nullptr; }
  int64_t bytes() const { return bytes_of(dtype, count); }

  // The first element; for devices whose handles are addresses. Null where the operand is absent. T is the elements'
  // type, or one of the same size for kernels that only move them.
  template <class T> const T* data() const {
    assert(handle == nullptr || is_quantized(dtype) || sizeof(T) == static_cast<size_t>(size_of(dtype)));
    return handle == nullptr ? nullptr : reinterpret_cast<const T*>(static_cast<const std::byte*>(handle) + offset);
  }
  const float* f32() const {
    assert(handle == nullptr || dtype == DType::kF32);
    return data<float>();
  }

  // The elements from number `first` on.
  View from(int64_t first) const {
    View part = *this;
    const int64_t skipped = std::min(first, count);
    part.offset += bytes_of(dtype, skipped);
    part.count -= skipped;
    return part;
  }
};

// Elements that a kernel writes, and may read first.
struct MutableView : View {
  template <class T> T* data() const { return const_cast<T*>(View::data<T>()); }
  float* f32() const { return const_cast<float*>(View::f32()); }
  MutableView from(int64_t first) const { return {View::from(first)}; }
};

// A weight: f32, f16 or bf16 elements, or blocks of q8_0 or q4_0, whatever the file has; kernels widen it while they
// pack. Blocks do not cross from one output's values to the next.
struct WeightView : View {};

// A view of `count` floats in the host's memory, for copies that kernels make of their operands.
inline MutableView view_of(float* values, int64_t count, Device device) {
  return {{.device = device, .handle = values, .count = count}};
}

}  // namespace sumi
