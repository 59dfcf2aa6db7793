// Activations in f16 and bf16: ops take them, give them back, and refuse mixtures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "core/autograd.h"
#include "ops/attention.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/max_pool.h"
#include "ops/norm.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// An op of one operand, its parameters made before.
struct Case {
  std::string name;
  Shape shape;
  std::function<Tensor(const Tensor& x)> op;
};

std::vector<Case> cases(Device device) {
  const auto weight = [device](const Shape& shape) { return test::random(shape, 0.3f).to(device); };
  const Tensor square = weight({16, 16}), wide = weight({32, 16}), kernel = weight({16, 16, 3, 3});
  const Tensor bias = weight({16}), gain = weight({16});
  const Shape picture{2, 6, 4, 16}, tokens{2, 24, 16};
  return {
      {"activate", picture, [](const Tensor& x) { return silu(x); }},
      {"geglu", picture, [](const Tensor& x) { return geglu(x); }},
      {"affine", picture, [](const Tensor& x) { return affine(0.5f, x, 2.0f, x, 1.0f); }},
      {"mul", picture, [](const Tensor& x) { return mul(x, x); }},
      {"add_per_channel", picture,
       [](const Tensor& x) {
         return add_per_channel(x, x.reshape({48, 16}).rows(0, 2));
       }},
      {"linear", tokens, [=](const Tensor& x) { return linear(x, square, bias, {.act = Act::kGelu, .residual = x}); }},
      {"linear_geglu", tokens, [=](const Tensor& x) { return linear_geglu(x, wide, {}); }},
      {"conv2d", picture, [=](const Tensor& x) { return conv2d(x, kernel, bias, {.pad_begin = 1, .residual = x}); }},
      {"attention", tokens, [](const Tensor& x) { return attention(x, x, x, {.heads = 2}); }},
      {"group_norm", picture,
       [=](const Tensor& x) { return group_norm(x, gain, bias, {.groups = 4, .act = Act::kSilu}); }},
      {"layer_norm", tokens, [=](const Tensor& x) { return layer_norm(x, gain, bias); }},
      {"concat_channels", picture, [](const Tensor& x) { return concat_channels(x, x); }},
      {"slice_channels", picture, [](const Tensor& x) { return slice_channels(x, 3, 9); }},
      {"crop", picture, [](const Tensor& x) { return crop(x, 1, 4, 0, 3); }},
      {"pick_pixels", picture, [](const Tensor& x) { return pick_pixels(x, 3, 2); }},
      {"upsample", picture, [](const Tensor& x) { return upsample_nearest_2x(x); }},
      {"mean_pool", picture, [](const Tensor& x) { return mean_pool_2x2(x); }},
      {"max_pool", picture, [](const Tensor& x) { return max_pool_2x2(x); }},
      {"concat_rows", picture,
       [](const Tensor& x) {
         return concat_rows({x, x});
       }},
      {"nhwc_to_nchw", picture, [](const Tensor& x) { return nhwc_to_nchw(x); }},
  };
}

class Types : public testing::TestWithParam<std::tuple<Device, DType>> {};

// The operands are rounded first, so only the result's rounding separates the two: half a unit of 11 or 8 bits, and on
// `cpu` for a sum of two results twice that.
TEST_P(Types, AreKeptAndRoundedOnce) {
  const auto [device, type] = GetParam();
  for (const Case& c : cases(device)) {
    const Tensor narrow = cast(test::random(c.shape), type).to(device), wide = cast(narrow, DType::kF32);
    const Tensor got = c.op(narrow);
    ASSERT_EQ(got.dtype(), type) << c.name;
    const Tensor want = c.op(wide);
    ASSERT_EQ(got.shape(), want.shape()) << c.name;
    EXPECT_LE(test::relative_l2(cast(got, DType::kF32), want), type == DType::kF16 ? 5e-4 : 4e-3) << c.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Types,
                         testing::Combine(testing::Values(Device::kRef, Device::kCpu),
                                          testing::Values(DType::kF16, DType::kBF16)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

// 1 + 2^-11 is half-way between two halves; what lies above it must not be lost on the way from double.
TEST(Types, TheReferenceRoundsOnce) {
  const Tensor one = cast(Tensor::full({1}, 1.0f), DType::kF16).to(Device::kRef);
  const Tensor weight = Tensor::from(std::vector<float>{1.0f + 0x1p-11f}, {1, 1}, Device::kRef);
  const Tensor bias = Tensor::full({1}, 0x1p-40f, Device::kRef);
  EXPECT_EQ(cast(linear(one, weight, bias), DType::kF32).host<float>()[0], 1.0f + 0x1p-10f);
  EXPECT_EQ(cast(linear(one, weight, {}), DType::kF32).host<float>()[0], 1.0f);  // a tie goes to the even one
}

TEST(Types, GradientsThatWouldBeLostAreRefused) {
  Tensor x = test::random({1, 4, 4, 2});
  x.set_requires_grad(true);
  Tape tape;
  EXPECT_THROW(cast(x, DType::kF16), Error);
  EXPECT_THROW(pick_pixels(x, 2, 2), Error);
  EXPECT_EQ(cast(x, DType::kF32).grad_slot(), x.grad_slot());
}

TEST(Types, MixturesAreRefusedWithASentence) {
  const Tensor x = test::random({2, 24, 16}), half = cast(x, DType::kF16), brain = cast(x, DType::kBF16);
  const Tensor weight = test::random({16, 16}), picture = x.reshape({2, 6, 4, 16});
  const auto sentence = [](const char* op) { return AllOf(HasSubstr(op), HasSubstr("f16"), HasSubstr("one type")); };
  const auto refused = [&](const char* op, const std::function<void()>& work) {
    try {
      work();
      ADD_FAILURE() << op;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), sentence(op));
    }
  };
  refused("affine", [&] { x + half; });
  refused("mul", [&] { mul(half, brain); });
  refused("linear", [&] { linear(half, weight, {}, {.residual = x}); });
  refused("conv2d", [&] {
    conv2d(picture, test::random({16, 16, 1, 1}), {}, {.residual = cast(picture, DType::kF16)});
  });
  refused("attention", [&] { attention(half, x, x, {}); });
  refused("attention", [&] { attention(x, x, half, {}); });
  refused("concat_channels", [&] { concat_channels(half, x); });
  refused("add_per_channel", [&] { add_per_channel(picture, cast(test::random({2, 16}), DType::kF16)); });
  EXPECT_THROW(silu(Tensor::from(std::vector<int64_t>{1}, {1})), Error);
  EXPECT_THROW(silu(Tensor::zeros({32}, DType::kQ8)), Error);
}

}  // namespace
}  // namespace sumi
