// Reference kernels for every type of activations: one loop, written for T, run for float, Half and BFloat16. Elements
// are widened to double as they are read and rounded once as they are written.
#pragma once

#include <bit>
#include <cmath>
#include <type_traits>

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

// A float that rounds to the same half as `value`: rounding to odd in between keeps the second rounding from going
// wrong where the first has made a tie.                                            (Boldo and Melquiond 2008)
inline float rounded_to_odd(double value) {
  const auto nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || !std::isfinite(nearest)) return nearest;
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1u);
}

// The elements of a view, written as numbers.
template <class T> class Out {
 public:
  explicit Out(const MutableView& view) : at_(view.data<T>()) {}
  void set(int64_t i, double value) const {
    if constexpr (std::is_same_v<T, float>) {
      at_[i] = static_cast<float>(value);
    } else {
      at_[i] = narrow_to<T>(rounded_to_odd(value));
    }
  }
  double operator[](int64_t i) const { return to_float(at_[i]); }

 private:
  T* at_;
};

}  // namespace sumi::backend::ref
