#include "base/nearest.h"

#include <gtest/gtest.h>

namespace sumi {
namespace {

TEST(Nearest, TakesTheFewestEdits) {
  const std::vector<std::string> known = {"steps", "scale", "sampler", "seed"};
  EXPECT_EQ(nearest_of("step", known), "steps");
  EXPECT_EQ(nearest_of("sclae", known), "");  // a short word: two edits make it another
  EXPECT_EQ(nearest_of("samplre", known), "sampler");
  EXPECT_EQ(nearest_of("seeds", known), "seed");
  EXPECT_EQ(nearest_of("", known), "");
  EXPECT_EQ(nearest_of("guidance", known), "");
  EXPECT_EQ(nearest_of("seed", {}), "");
}

}  // namespace
}  // namespace sumi
