// A fast hash to detect changes. Not cryptographic.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sumi {

// FNV-1a, 64 bits, of several texts; where each ends is part of the hash.
class Fnv1a {
 public:
  void add(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix(0xFF);
  }
  // Words of eight bytes at a time, for gigabytes.
  void add(std::span<const std::byte> bytes);
  uint64_t value() const { return hash_; }
  std::string hex() const { return fmt::format("{:016x}", hash_); }

 private:
  void mix(uint64_t value) { hash_ = (hash_ ^ value) * 1099511628211ull; }
  uint64_t hash_ = 14695981039346656037ull;
};

}  // namespace sumi
