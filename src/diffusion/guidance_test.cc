#include "diffusion/guidance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sumi::diffusion {
namespace {

// A condition that is not a tensor: one value per sample.
struct Values {
  std::vector<float> values;
  friend Values concat(const Values& uncond, const Values& cond) {
    Values both = uncond;
    both.values.insert(both.values.end(), cond.values.begin(), cond.values.end());
    return both;
  }
};

TEST(Guidance, IsOneDoubledBatchUncondFirst) {
  std::vector<int64_t> batches;
  const Network<Values> network = [&](const Tensor& x, double, const Values& condition) {  // returns the values
    batches.push_back(x.dim(0));
    return Tensor::from(condition.values, {x.dim(0), 1, 1, 1});
  };
  const Tensor x = Tensor::zeros({2, 1, 1, 1});
  const Values cond{{3, 5}}, uncond{{1, 2}};
  const HostView<float> steered(guided(network, cond, uncond, 4.0)(x, 0.0));
  EXPECT_THAT(steered.span(), testing::ElementsAre(1 + 4 * 2, 2 + 4 * 3));
  const HostView<float> plain(guided(network, cond, {}, 1.0)(x, 0.0));
  EXPECT_THAT(plain.span(), testing::ElementsAre(3, 5));
  EXPECT_THAT(batches, testing::ElementsAre(4, 2));
}

}  // namespace
}  // namespace sumi::diffusion
