// The only way from a tensor to a host pointer: for inputs (ids, pictures) and results (pictures, probes). On a device
// with memory of its own each view is a copy, which its allocator counts.
#pragma once

#include <exception>
#include <span>

#include "core/tensor.h"

namespace sumi {

// The elements of a tensor to read, while the view lives.
template <class T> class HostView {
 public:
  // T must be the tensor's type, or std::byte for any; throws Error(kInternal) otherwise.
  explicit HostView(const Tensor& x) : held_(detail::host_bytes(x, detail::code_of<T>())) {
    values_ = {reinterpret_cast<const T*>(held_.data), static_cast<size_t>(held_.bytes) / sizeof(T)};
  }

  const T* data() const& { return values_.data(); }
  const T* data() const&& = delete;  // the copy would be gone
  std::span<const T> span() const& { return values_; }
  std::span<const T> span() const&& = delete;
  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  auto begin() const& { return values_.begin(); }
  auto end() const& { return values_.end(); }
  const T& operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }

 private:
  detail::HostBytes held_;
  std::span<const T> values_;
};

// The elements to change or to write; they reach the device when the view is destroyed.
template <class T> class HostEdit {
 public:
  explicit HostEdit(Tensor& x) : held_(detail::editable_bytes(x, detail::code_of<T>())) {
    values_ = {reinterpret_cast<T*>(held_.data), static_cast<size_t>(held_.bytes) / sizeof(T)};
  }
  // Nothing is written back where an exception ends the edit.
  ~HostEdit() noexcept(false) {
    if (std::uncaught_exceptions() == exceptions_) detail::put_back(held_);
  }
  HostEdit(const HostEdit&) = delete;
  HostEdit& operator=(const HostEdit&) = delete;

  T* data() const& { return values_.data(); }
  T* data() const&& = delete;
  std::span<T> span() const& { return values_; }
  std::span<T> span() const&& = delete;
  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  auto begin() const& { return values_.begin(); }
  auto end() const& { return values_.end(); }
  T& operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }

 private:
  detail::HostBytes held_;
  std::span<T> values_;
  int exceptions_ = std::uncaught_exceptions();
};

template <class T> HostView<T> Tensor::host() const { return HostView<T>(*this); }
template <class T> HostEdit<T> Tensor::host_edit() { return HostEdit<T>(*this); }

template <class T> Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  SUMI_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "a tensor of shape {} needs {} values, not {}",
             shape.str(), shape.numel(), values.size());
  Tensor out = empty(shape, dtype_of<T>(), device);
  out.write(std::as_bytes(values));
  return out;
}

}  // namespace sumi
