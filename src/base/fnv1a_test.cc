#include "base/fnv1a.h"

#include <gtest/gtest.h>

#include <vector>

namespace sumi {
namespace {

std::string hash_of(const std::vector<std::byte>& bytes) {
  Fnv1a hash;
  hash.add(std::span<const std::byte>(bytes));
  return hash.hex();
}

TEST(Fnv1a, EndsOfTextsCount) {
  Fnv1a a, b;
  a.add("ab");
  a.add("c");
  b.add("a");
  b.add("bc");
  EXPECT_NE(a.hex(), b.hex());
  EXPECT_EQ(a.hex().size(), 16u);
}

TEST(Fnv1a, EveryBitOfEveryByteCounts) {
  std::vector<std::byte> bytes(75);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 % 251);
  const std::string whole = hash_of(bytes);
  EXPECT_EQ(whole, hash_of(bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= static_cast<std::byte>(1 << bit);
      EXPECT_NE(hash_of(bytes), whole) << "byte " << i << ", bit " << bit;
      bytes[i] ^= static_cast<std::byte>(1 << bit);
    }
  }
  bytes.push_back(std::byte{0});
  EXPECT_NE(hash_of(bytes), whole);
}

}  // namespace
}  // namespace sumi
