#include "base/parse_number.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sumi {
namespace {

TEST(ParseNumberTest, TheWholeTextIsTheNumber) {
  EXPECT_EQ(number_in<int64_t>("-12"), -12);
  EXPECT_EQ(number_in<uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(number_in<double>("2.5e1"), 25.0);
  for (const char* text : {"", " 1", "1 ", "+1", "1x", "1.5", "x", "9223372036854775808"})
    EXPECT_FALSE(number_in<int64_t>(text)) << text;
  EXPECT_FALSE(number_in<uint64_t>("-1"));
  EXPECT_FALSE(number_in<double>("1,5"));
}

}  // namespace
}  // namespace sumi
