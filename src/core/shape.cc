#include "core/shape.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace sumi {

int64_t Shape::numel() const {
  // A file may have sizes whose product overflows before a zero makes it 0.
  if (std::find(dims_.begin(), dims_.end(), 0) != dims_.end()) return 0;
  int64_t product = 1;
  for (int64_t dim : dims_) product *= dim;
  return product;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(dims_, ", ")); }

}  // namespace sumi
