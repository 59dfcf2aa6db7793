#include "models/conditioning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"

namespace sumi::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const Conditioning& uncond, const Conditioning& cond) {
  try {
    concat(uncond, cond);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Conditioning, ConcatenatesEveryPartUncondFirst) {
  const auto with = [](float value) {
    return Conditioning{.sequence = Tensor::full({2, 3, 4}, value),
                        .pooled = Tensor::full({2, 5}, value + 1),
                        .added = Tensor::full({2, 6}, value + 2),
                        .control = {.skips = {Tensor::full({2, 8, 8, 4}, value + 3), Tensor::full({2, 4, 4, 8}, value)},
                                    .middle = Tensor::full({2, 4, 4, 8}, value + 4)},
                        .channels = Tensor::full({2, 8, 8, 5}, value + 5)};
  };
  const Conditioning both = concat(with(10), with(20));
  const auto expect = [](const Tensor& joined, const Shape& shape, float first, float last) {
    EXPECT_EQ(joined.shape(), shape);
    EXPECT_EQ(joined.host<float>()[0], first);
    EXPECT_EQ(joined.host<float>()[joined.numel() - 1], last);
  };
  expect(both.sequence, {4, 3, 4}, 10, 20);
  expect(both.pooled, {4, 5}, 11, 21);
  expect(both.added, {4, 6}, 12, 22);
  ASSERT_EQ(both.control.skips.size(), 2u);
  expect(both.control.skips[0], {4, 8, 8, 4}, 13, 23);
  expect(both.control.skips[1], {4, 4, 4, 8}, 10, 20);
  expect(both.control.middle, {4, 4, 4, 8}, 14, 24);
  expect(both.channels, {4, 8, 8, 5}, 15, 25);
}

TEST(Conditioning, LeavesOutWhatNeitherHas) {
  const Conditioning text{.sequence = Tensor::zeros({1, 3, 4})};
  const Conditioning both = concat(text, text);
  EXPECT_TRUE(both.sequence);
  EXPECT_FALSE(both.pooled || both.added || both.channels || both.control.middle);
  EXPECT_TRUE(both.control.skips.empty());
}

TEST(Conditioning, RefusesHalvesThatDoNotMatch) {
  const Conditioning text{.sequence = Tensor::zeros({1, 3, 4})};
  EXPECT_THAT(refusal({}, {}), HasSubstr("a model without text has nothing to guide it; use a scale of 1"));
  EXPECT_THAT(refusal({}, text), HasSubstr("the negative prompt's is missing"));
  EXPECT_THAT(refusal(text, {}), HasSubstr("the prompt's is missing"));
  EXPECT_THAT(refusal({.sequence = Tensor::zeros({1, 6, 4})}, text),
              AllOf(HasSubstr("[1, 3, 4]"), HasSubstr("[1, 6, 4]"), HasSubstr("differ in shape")));
  Conditioning controlled = text;
  controlled.control.skips.push_back(Tensor::zeros({1, 2, 2, 4}));
  EXPECT_THAT(refusal(text, controlled), HasSubstr("1 control residuals and the negative prompt 0"));
}

}  // namespace
}  // namespace sumi::models
