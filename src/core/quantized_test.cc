#include "core/quantized.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sumi {
namespace {

using Values = std::array<float, kQuantBlock>;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Values through_q8(const Values& values) {
  Values out;
  dequantize(quantize_q8(values.data()), out.data());
  return out;
}
Values through_q4(const Values& values) {
  Values out;
  dequantize(quantize_q4(values.data()), out.data());
  return out;
}

TEST(Quantized, ValuesThatAreNotFiniteLeaveTheOthersAsTheyAre) {
  Values values;
  for (int i = 0; i < kQuantBlock; ++i) values[static_cast<size_t>(i)] = static_cast<float>(i - 16);
  values[0] = kNan;  // the first, where it would be the largest
  values[5] = kInf;
  values[6] = -kInf;
  values[20] = -kNan;
  const Values q8 = through_q8(values), q4 = through_q4(values);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    EXPECT_NEAR(q8[i], values[i], 0.51f * 15.0f / 127.0f) << i;
    EXPECT_NEAR(q4[i], values[i], 1.01f * 15.0f / 8.0f) << i;  // +15 is one step beyond the last
  }
  for (const size_t i : {0, 20}) {
    EXPECT_EQ(q8[i], 0.0f);
    EXPECT_EQ(q4[i], 0.0f);
  }
  EXPECT_NEAR(q8[5], 15.0f, 0.01f);
  EXPECT_NEAR(q8[6], -15.0f, 0.01f);
  EXPECT_NEAR(q4[5], 7.0f * 15.0f / 8.0f, 0.01f);
  EXPECT_NEAR(q4[6], -15.0f, 0.01f);
}

TEST(Quantized, AnyBlockComesBackFinite) {
  const float largest = std::numeric_limits<float>::max(), least = std::numeric_limits<float>::denorm_min();
  for (const float filling : {kNan, kInf, -kInf, largest, -largest, least, 1e-40f, 65504.0f, 1e7f}) {
    for (const float other : {0.0f, 1.0f, kNan, kInf}) {
      Values values;
      values.fill(filling);
      values[3] = other;
      for (const Values& out : {through_q8(values), through_q4(values)})
        EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](float v) { return std::isfinite(v); }))
            << filling << " and " << other;
    }
  }
}

}  // namespace
}  // namespace sumi
