#include "base/base64.h"

#include <gtest/gtest.h>

namespace sumi {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  std::vector<std::byte> bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

// The examples of RFC 4648, section 10.
TEST(Base64, WritesAndReadsTheStandardsExamples) {
  for (const auto& [plain, coded] : {std::pair{"", ""},
                                     {"f", "Zg=="},
                                     {"fo", "Zm8="},
                                     {"foo", "Zm9v"},
                                     {"foob", "Zm9vYg=="},
                                     {"fooba", "Zm9vYmE="},
                                     {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64_of(bytes_of(plain)), coded);
    EXPECT_EQ(from_base64(coded), bytes_of(plain)) << coded;
  }
}

TEST(Base64, ReadsEveryByte) {
  std::vector<std::byte> all(256);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(i);
  EXPECT_EQ(from_base64(base64_of(all)), all);
}

TEST(Base64, ReadsFoldedTextAndTextWithoutPadding) {
  EXPECT_EQ(from_base64("Zm9v\r\nYmE="), bytes_of("fooba"));
  EXPECT_EQ(from_base64("Zm9vYmE"), bytes_of("fooba"));
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"Z", "Zg=", "Zg===", "Z*9v", "Zg==Zg==", "Zm9v\xff", "Zm9v====", "data:image/png"})
    EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace sumi
