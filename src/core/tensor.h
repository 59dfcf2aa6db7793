// The tensor: a value that shares its storage. Always contiguous, outermost dimension first.
//
// Pictures and latents are [N,H,W,C], tokens [N,T,C]; weights keep the layout and the type of their file. Copying a
// Tensor shares its bytes and its gradient; clone() copies the bytes. See core/autograd.h for gradients.
// Elements are the device's: kernels reach them through views, all other code through host views (core/host_view.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "core/buffer.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "core/view.h"

namespace sumi {

struct GradSlot;
template <class T> class HostView;
template <class T> class HostEdit;

class Tensor {
 public:
  Tensor() = default;
  // The elements in `buffer` from byte `offset` on.
  Tensor(BufferPtr buffer, int64_t offset, Shape shape, DType dtype, Device device = Device::kCpu);

  static Tensor empty(const Shape& shape, DType dtype = DType::kF32, Device device = Device::kCpu);
  static Tensor zeros(const Shape& shape, DType dtype = DType::kF32, Device device = Device::kCpu);
  static Tensor full(const Shape& shape, float value, Device device = Device::kCpu);
  template <class T> static Tensor from(std::span<const T> values, const Shape& shape, Device device = Device::kCpu);
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = Device::kCpu) {
    return from(std::span<const T>(values), shape, device);
  }

  bool defined() const { return buffer_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t numel() const { return numel_; }
  int64_t bytes() const { return bytes_of(dtype_, numel_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  const BufferPtr& buffer() const { return buffer_; }
  int64_t offset() const { return offset_; }  // bytes from the buffer's beginning
  // Whether no other tensor sees these bytes, so that they may be overwritten.
  bool is_sole_owner() const { return buffer_.use_count() == 1 && buffer_->is_fresh(); }

  // What kernels see of the elements; an undefined tensor gives an absent operand.
  View view() const;
  MutableView mutable_view();
  WeightView weight_view() const { return {view()}; }

  // The elements on the host, to read or to change, while the returned object lives. On a device with memory of its own
  // that is a copy. T must be the tensor's type (std::byte fits any).
  template <class T> HostView<T> host() const;
  template <class T> HostEdit<T> host_edit();
  // Copies bytes() bytes from the host into the tensor.
  void write(std::span<const std::byte> bytes);
  // Copies the elements of `from`, which has as many of the same type, on any device.
  void copy_from(const Tensor& from);
  // Whether both are the same elements of the same buffer.
  bool same_elements(const Tensor& other) const {
    return buffer_ == other.buffer_ && offset_ == other.offset_ && numel_ == other.numel_;
  }

  // Whether ops on a tape keep what the gradient of this tensor needs.
  bool requires_grad() const { return grad_ != nullptr; }
  // Makes this a leaf with no gradient yet, or stops it from requiring one.
  void set_requires_grad(bool required);
  // The sum of the gradients so far, in this tensor's shape; undefined before the first.
  Tensor grad() const;
  void clear_grad();
  const std::shared_ptr<GradSlot>& grad_slot() const { return grad_; }
  // The same bytes without the gradient.
  Tensor detach() const;

  // The same bytes under another shape of as many elements; one size may be -1.
  Tensor reshape(Shape shape) const;
  // Rows [begin, end) of the first dimension, sharing the bytes.
  Tensor rows(int64_t begin, int64_t end) const;
  // The same elements for another device: shared where both work in one memory, else copied.
  Tensor to(Device device) const;
  // A copy in fresh memory.
  Tensor clone() const;

 private:
  void check_writable() const;  // throws Error(kInternal) for a file's tensor

  BufferPtr buffer_;
  int64_t offset_ = 0;
  Shape shape_;
  int64_t numel_ = 0;
  DType dtype_ = DType::kF32;
  Device device_ = Device::kCpu;
  std::shared_ptr<GradSlot> grad_;
};

namespace detail {

// Elements on the host: the tensor's own memory, or a copy of it with the place it came from.
struct HostBytes {
  std::byte* data = nullptr;
  int64_t bytes = 0;
  BufferPtr held;             // keeps `data`
  BufferPtr origin = {};      // of a copy
  int64_t origin_offset = 0;  // of a copy
};
HostBytes host_bytes(const Tensor& x, int type);
HostBytes editable_bytes(Tensor& x, int type);
void put_back(const HostBytes& held);

// What HostView<T> asks of a tensor's type; -1 takes any.
template <class T> constexpr int code_of() { return static_cast<int>(dtype_of<T>()); }
template <> constexpr int code_of<std::byte>() { return -1; }

}  // namespace detail

}  // namespace sumi

#include "core/host_view.h"  // IWYU pragma: export
