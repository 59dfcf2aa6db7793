#include "core/shape.h"

#include <fmt/ranges.h>

namespace sumi {

int64_t Shape::numel() const {
  int64_t product = 1;
  for (int64_t dim : dims_) product *= dim;
  return product;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(dims_, ", ")); }

}  // namespace sumi
