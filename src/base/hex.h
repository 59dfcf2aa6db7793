// Bytes as hexadecimal digits.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>

namespace sumi {

inline std::string hex_of(std::span<const unsigned char> bytes) {
  std::string hex;
  for (const unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace sumi
