// Convolutions of pictures that repeat without end.
#include <gtest/gtest.h>

#include <vector>

#include "base/check.h"
#include "core/autograd.h"
#include "nn/adapters.h"
#include "nn/layers.h"
#include "ops/layout.h"
#include "ops/window.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi::nn {
namespace {

constexpr Wraps kBoth{.y = true, .x = true};

Tensor rolled(const Tensor& x, int64_t down, int64_t right) {
  return window(x, -down, x.dim(1) - down, -right, x.dim(2) - right, kBoth);
}

class WrapScope : public ContextScope {
 public:
  explicit WrapScope(const Wraps& wraps)
      : ContextScope([&](Context& context) {
          context.wrap_y = wraps.y;
          context.wrap_x = wraps.x;
        }) {}
};

void fill(Conv2d& layer, DType type = DType::kF32) {
  for_each_param(layer, "", [&](const std::string& name, Param& param) {
    param.value = test::random(param.shape, 0.2f);
    if (name == "weight" && type != DType::kF32) param.value = cast(param.value, type);
  });
}

// Those of the UNet, of its and of the encoder's halving, and a large kernel.
const std::vector<Conv2dConfig> kLayers{{.kernel = 3, .pad_begin = 1},
                                        {.kernel = 3, .stride = 2, .pad_begin = 1},
                                        {.kernel = 3, .stride = 2, .pad_begin = 0, .pad_end = 1},
                                        {.kernel = 7, .pad_begin = 3}};

TEST(Wrap, ARolledPictureGivesTheRolledResult) {
  for (const Conv2dConfig& config : kLayers) {
    // Wide enough for every algorithm, Winograd's too.
    Conv2d layer(32, 32, config);
    fill(layer);
    const Tensor x = test::random({2, 12, 16, 32}),
                 residual = test::random({2, 12 / config.stride, 16 / config.stride, 32});
    const WrapScope scope(kBoth);
    const Tensor y = layer(x, residual);
    const Tensor moved = layer(rolled(x, 2, 6), rolled(residual, 2 / config.stride, 6 / config.stride));
    EXPECT_LT(test::relative_l2(moved, rolled(y, 2 / config.stride, 6 / config.stride)), 5e-6)
        << config.kernel;  // Winograd's blocks of 4x4 lie elsewhere
  }
}

TEST(Wrap, OneDirectionKeepsZerosInTheOther) {
  for (const Conv2dConfig& config : kLayers) {
    Conv2d layer(3, 5, config);
    fill(layer);
    const Tensor x = test::random({1, 8, 10, 3});
    const Tensor plain = layer(x);
    const WrapScope scope({.x = true});
    const Tensor y = layer(x);
    EXPECT_LT(test::relative_l2(layer(rolled(x, 0, 2)), rolled(y, 0, 2 / config.stride)), 1e-6);
    // The middle column sees neither side; the first or the last does.
    const int64_t middle = y.dim(2) / 2;
    EXPECT_LT(test::relative_l2(crop(y, 0, y.dim(1), middle, middle + 1), crop(plain, 0, y.dim(1), middle, middle + 1)),
              1e-6);
    EXPECT_GT(test::relative_l2(y, plain), 1e-2);
  }
}

TEST(Wrap, EveryTypeOfWeightsAndActivations) {
  const Tensor x = test::random({1, 8, 8, 32});
  for (const DType weights : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8, DType::kQ4}) {
    Conv2d layer(32, 32, kLayers[0]);
    fill(layer, weights);
    const WrapScope scope(kBoth);
    EXPECT_LT(test::relative_l2(layer(rolled(x, 3, 1)), rolled(layer(x), 3, 1)), 1e-6) << name_of(weights);
    const Tensor half = cast(x, DType::kF16), y = layer(half);
    EXPECT_EQ(y.dtype(), DType::kF16);
    EXPECT_LT(test::relative_l2(cast(y, DType::kF32), layer(x)), 2e-3) << name_of(weights);
  }
}

TEST(Wrap, AChangeOfTheWeightWrapsToo) {
  Conv2d layer(8, 8, kLayers[0]);
  fill(layer);
  Adapters adapters;
  for_each_adaptable(layer, "", [&](const std::string& name, Param& param) {
    if (name == "weight") adapters.add(param, {.down = test::random({2, 8, 3, 3}), .up = test::random({8, 2, 1, 1})});
  });
  adapters.finish();
  ASSERT_EQ(adapters.low_rank_weights(), 1);
  const Tensor x = test::random({1, 6, 6, 8});
  const AdaptersScope adapted(&adapters);
  const WrapScope scope(kBoth);
  EXPECT_LT(test::relative_l2(layer(rolled(x, 1, 2)), rolled(layer(x), 1, 2)), 1e-6);
}

TEST(Wrap, WithoutPaddingNothingChanges) {
  Conv2d layer(3, 4, {.kernel = 2, .stride = 2});
  fill(layer);
  const Tensor x = test::random({1, 4, 4, 3}), plain = layer(x);
  const WrapScope scope(kBoth);
  EXPECT_TRUE(test::same_bytes(layer(x), plain));
}

TEST(Wrap, RefusesGradients) {
  Conv2d layer(3, 4, kLayers[0]);
  fill(layer);
  const Tensor x = test::random({1, 4, 4, 3});
  const WrapScope scope(kBoth);
  EXPECT_THROW(layer.weight_gradient(x, x), Error);
  const Tape tape;
  EXPECT_THROW(layer(x), Error);
}

}  // namespace
}  // namespace sumi::nn
