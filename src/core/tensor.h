// The tensor: a value that shares its storage. Always contiguous, outermost dimension first.
//
// Pictures and latents are [N,H,W,C], tokens [N,T,C]; weights keep the layout and the type of their file. Copying a
// Tensor shares its bytes and its gradient; clone() copies the bytes. See core/autograd.h for gradients.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "core/storage.h"

namespace sumi {

struct GradSlot;

class Tensor {
 public:
  Tensor() = default;
  // A view of `storage` from byte `offset` on.
  Tensor(StoragePtr storage, int64_t offset, Shape shape, DType dtype, Device device = Device::kCpu);

  static Tensor empty(const Shape& shape, DType dtype = DType::kF32, Device device = Device::kCpu);
  static Tensor zeros(const Shape& shape, DType dtype = DType::kF32, Device device = Device::kCpu);
  static Tensor full(const Shape& shape, float value, Device device = Device::kCpu);
  template <class T> static Tensor from(std::span<const T> values, const Shape& shape, Device device = Device::kCpu);
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = Device::kCpu) {
    return from(std::span<const T>(values), shape, device);
  }

  bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t numel() const { return numel_; }
  int64_t bytes() const { return bytes_of(dtype_, numel_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  const StoragePtr& storage() const { return storage_; }
  // Whether no other tensor sees these bytes, so that they may be written over.
  bool is_sole_owner() const { return storage_.use_count() == 1 && storage_->is_fresh(); }

  // The elements, host devices only. T must be the tensor's type (std::byte fits any).
  template <class T> T* data() { return reinterpret_cast<T*>(raw()); }
  template <class T> const T* data() const { return reinterpret_cast<const T*>(raw()); }
  template <class T> std::span<const T> span() const { return {data<T>(), static_cast<size_t>(numel_)}; }
  template <class T> std::span<T> span() { return {data<T>(), static_cast<size_t>(numel_)}; }
  std::byte* raw() const { return storage_ ? storage_->data() + offset_ : nullptr; }

  // Whether ops on a tape keep what the gradient of this tensor needs.
  bool requires_grad() const { return grad_ != nullptr; }
  // Makes this a leaf of its own with no gradient yet, or takes that away.
  void set_requires_grad(bool required);
  // The sum of the gradients that came so far, in this tensor's shape; undefined where none did.
  Tensor grad() const;
  void clear_grad();
  const std::shared_ptr<GradSlot>& grad_slot() const { return grad_; }
  // The same bytes without the gradient.
  Tensor detach() const;

  // The same bytes under another shape of as many elements; one size may be -1.
  Tensor reshape(Shape shape) const;
  // Rows [begin, end) of the first dimension, sharing the bytes.
  Tensor rows(int64_t begin, int64_t end) const;
  // The same bytes seen from another host device; to and from other devices a copy.
  Tensor to(Device device) const;
  // A copy in fresh memory.
  Tensor clone() const;

 private:
  StoragePtr storage_;
  int64_t offset_ = 0;
  Shape shape_;
  int64_t numel_ = 0;
  DType dtype_ = DType::kF32;
  Device device_ = Device::kCpu;
  std::shared_ptr<GradSlot> grad_;
};

template <class T> Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  SUMI_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "a tensor of shape {} needs {} values, not {}",
             shape.str(), shape.numel(), values.size());
  Tensor out = empty(shape, dtype_of<T>(), device);
  std::copy(values.begin(), values.end(), out.template data<T>());
  return out;
}

}  // namespace sumi
