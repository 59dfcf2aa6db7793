#include "train/diffusion_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace sumi::train {
namespace {

std::vector<int64_t> all(int64_t timesteps) {
  std::vector<int64_t> out(static_cast<size_t>(timesteps));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

TEST(ShiftTimesteps, OneLeavesThemAsTheyAre) { EXPECT_EQ(shift_timesteps(all(1000), 1000, 1.0), all(1000)); }

TEST(ShiftTimesteps, FollowsTheFormula) {
  // u = (t + ½)/T: 4·u/(1 + 3·u) of 0.5/10, 5.5/10 and 9.5/10 is 0.173…, 0.830… and 0.987….
  EXPECT_EQ(shift_timesteps({0, 5, 9}, 10, 4.0), (std::vector<int64_t>{1, 8, 9}));
  // And of their mirror images.
  EXPECT_EQ(shift_timesteps({9, 4, 0}, 10, 0.25), (std::vector<int64_t>{8, 1, 0}));
}

TEST(ShiftTimesteps, StaysInRangeAndInOrder) {
  for (const double shift : {0.01, 0.5, 3.0, 100.0}) {
    const std::vector<int64_t> shifted = shift_timesteps(all(1000), 1000, shift);
    EXPECT_TRUE(std::is_sorted(shifted.begin(), shifted.end())) << shift;
    EXPECT_GE(shifted.front(), 0) << shift;
    EXPECT_LE(shifted.back(), 999) << shift;
  }
}

TEST(ShiftTimesteps, MovesTheMedian) {
  // Half of the drawn are late by the median's image, s/(1 + s).
  const std::vector<int64_t> shifted = shift_timesteps(all(1000), 1000, 3.0);
  EXPECT_EQ(std::count_if(shifted.begin(), shifted.end(), [](int64_t t) { return t >= 750; }), 500);
}

}  // namespace
}  // namespace sumi::train
