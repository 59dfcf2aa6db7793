// Reference kernels for every type of activations: one loop, written for T, run for float, Half and BFloat16. Elements
// are widened to double as they are read and rounded once as they are written.
#pragma once

#include "core/dtype.h"
#include "core/view.h"

namespace sumi::backend::ref {

// The elements of a view, read as numbers.
template <class T> class In {
 public:
  explicit In(const View& view, int64_t offset = 0) : at_(view ? view.data<T>() + offset : nullptr) {}
  explicit operator bool() const { return at_ != nullptr; }
  double operator[](int64_t i) const { return to_float(at_[i]); }
  In operator+(int64_t offset) const { return In(at_ + offset); }

 private:
  explicit In(const T* at) : at_(at) {}
  const T* at_;
};

// The elements of a view, written as numbers.
template <class T> class Out {
 public:
  explicit Out(const MutableView& view) : at_(view.data<T>()) {}
  void set(int64_t i, double value) const { at_[i] = narrow_to<T>(static_cast<float>(value)); }
  double operator[](int64_t i) const { return to_float(at_[i]); }

 private:
  T* at_;
};

}  // namespace sumi::backend::ref
