// Changes of low rank in linear layers; the products themselves are held against the reference in the backends.
#include "ops/matmul.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/profile.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi {
namespace {

using test::random;

class ChangedLinear : public testing::TestWithParam<Device> {
 protected:
  Tensor here(const Shape& shape, float scale = 1.0f) const { return random(shape, scale).to(GetParam()); }

  const Tensor x_ = here({3, 19, 48}), weight_ = here({70, 48}, 0.15f), bias_ = here({70}),
               residual_ = here({3, 19, 70});
  const LowRank change_{here({5, 48}, 0.15f), here({70, 5}, 0.5f), -0.6f};

  // x·(weight + change)ᵀ + bias of ops that know no changes.
  Tensor composed() const {
    return linear(x_, weight_, bias_) + linear(linear(x_, change_.down, {}) * change_.scale, change_.up, {});
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, ChangedLinear, testing::Values(Device::kRef, Device::kCpu),
                         [](const auto& param) { return std::string(name_of(param.param)); });

TEST_P(ChangedLinear, EqualsItsComposition) {
  const Tensor plain = linear(x_, weight_, bias_);
  ASSERT_GT(test::relative_l2(composed(), plain), 0.05);
  EXPECT_LE(test::relative_l2(linear(x_, weight_, bias_, {.change = change_}), composed()), 1e-6);
  EXPECT_LE(test::relative_l2(linear(x_, weight_, bias_, {.act = Act::kGelu, .residual = residual_, .change = change_}),
                              activate(composed(), Act::kGelu) + residual_),
            1e-6);
  EXPECT_LE(test::relative_l2(linear_geglu(x_, weight_, bias_, change_), geglu(composed())), 1e-6);
}

TEST_P(ChangedLinear, TakesTheShapesOfConvolutions) {
  const LowRank change{change_.down.reshape({5, 48, 1, 1}), change_.up.reshape({70, 5, 1, 1}), change_.scale};
  EXPECT_TRUE(test::same_bytes(linear(x_, weight_.reshape({70, 48, 1, 1}), bias_, {.change = change}),
                               linear(x_, weight_, bias_, {.change = change_})));
}

// While a gradient is wanted, the change is two products of their own, in an order that training relies on.
TEST_P(ChangedLinear, IsComposedWhereAGradientIsWanted) {
  LowRank trained = change_;
  trained.down = trained.down.clone();
  trained.down.set_requires_grad(true);
  const Tensor want =
      linear(linear(x_, change_.down, {}) * change_.scale, change_.up, {}, {.residual = linear(x_, weight_, bias_)});
  EXPECT_TRUE(test::same_bytes(linear(x_, weight_, bias_, {.change = trained}), want));
  EXPECT_TRUE(test::same_bytes(linear_geglu(x_, weight_, bias_, trained), geglu(want)));
  Tensor pulled = x_.clone();
  pulled.set_requires_grad(true);
  const Tape tape;
  EXPECT_TRUE(test::same_bytes(linear(pulled, weight_, bias_, {.change = change_}), want));
}

TEST_P(ChangedLinear, CountsItsWork) {
  const Profile profile;
  linear(x_, weight_, bias_, {.change = change_});
  EXPECT_EQ(profile.flops(), 2.0 * 3 * 19 * (48 * 70 + 5 * (48 + 70)));
}

TEST_P(ChangedLinear, RefusesAChangeThatDoesNotFit) {
  const auto refuses = [&](const LowRank& change, const std::string& part) {
    for (const bool gated : {false, true}) {
      try {
        gated ? linear_geglu(x_, weight_, bias_, change) : linear(x_, weight_, bias_, {.change = change});
        ADD_FAILURE() << part;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr(part));
      }
    }
  };
  refuses({here({5, 47}), here({70, 5})}, "[5, 47] and [70, 5] does not fit the weight [70, 48]");
  refuses({here({5, 48}), here({70, 4})}, "does not fit");
  refuses({here({5, 48}), here({69, 5})}, "does not fit");
  refuses({here({5, 48, 3, 3}), here({70, 5})}, "does not fit");
  refuses({Tensor::zeros({5, 48}, DType::kF64, GetParam()), here({70, 5})}, "must be f32, f16 or bf16");
}

}  // namespace
}  // namespace sumi
