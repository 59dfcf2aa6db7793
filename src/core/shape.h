// Sizes of a tensor's dimensions, outermost first.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace sumi {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  // Size of dimension `axis`; negative axes count from the end.
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)]; }
  int64_t& operator[](int axis) { return dims_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)]; }
  // Product of all sizes; 1 for rank 0.
  int64_t numel() const;
  const std::vector<int64_t>& dims() const { return dims_; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  bool operator==(const Shape&) const = default;
  std::string str() const;  // "[2, 77, 768]"

 private:
  std::vector<int64_t> dims_;
};

}  // namespace sumi
