#include "ops/prelu.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "ops/layout.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

TEST(Prelu, ScalesWhatIsNegativeByTheChannelsSlope) {
  for (const int64_t pixels : {1, 7, 3000}) {
    const Tensor x = test::random({1, pixels, 1, 11}), slope = test::random({11});
    const Tensor y = prelu(x, slope);
    const HostView<float> values(x), slopes(slope), results(y);
    for (int64_t i = 0; i < values.size(); ++i)
      ASSERT_FLOAT_EQ(results[i], values[i] > 0.0f ? values[i] : slopes[i % 11] * values[i]);
  }
}

TEST(Prelu, TakesHalfFloats) {
  const Tensor x = test::random({2, 3, 3, 4}), slope = test::random({4});
  const Tensor want = prelu(x, slope);
  for (const DType type : {DType::kF16, DType::kBF16}) {
    const Tensor got = prelu(cast(x, type), cast(slope, type));
    EXPECT_EQ(got.dtype(), type);
    EXPECT_LT(test::relative_l2(cast(got, DType::kF32), want), 1e-2);
  }
}

TEST(Prelu, RefusesSlopesThatDoNotFit) { EXPECT_THROW(prelu(test::random({1, 2, 2, 3}), test::random({4})), Error); }

}  // namespace
}  // namespace sumi
