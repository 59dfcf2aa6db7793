// Pictures without seams: networks whose context wraps treat every place alike, so what is rolled stays rolled.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/autoencoder_kl/tiles.h"
#include "models/unet/unet.h"
#include "ops/window.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"
#include "tools/checkpoint_layout.h"

namespace sumi::models {
namespace {

Tensor rolled(const Tensor& x, int64_t down, int64_t right) {
  return window(x, -down, x.dim(1) - down, -right, x.dim(2) - right, {.y = true, .x = true});
}

class WrapScope : public ContextScope {
 public:
  WrapScope(bool y, bool x)
      : ContextScope([=](Context& context) {
          context.wrap_y = y;
          context.wrap_x = x;
        }) {}
};

TEST(Seamless, TheUNetFollowsALatentThatIsRolled) {
  const UNetConfig config = tools::synthetic_config("tiny").unet;
  UNet unet(config);
  test::fill_synthetic(unet, "model.diffusion_model.");
  const Tensor x = test::random({1, 16, 24, 4}), context = test::random({1, 7, config.context_dim});
  const auto predict = [&](const Tensor& latent) { return unet(latent, {500.0}, {.sequence = context}); };
  // Whole pixels of the lowest level: 8 of the latent's.
  struct Case {
    bool y, x;
    int64_t down, right;
  };
  for (const Case& c : {Case{true, true, 8, 8}, Case{true, false, 8, 0}, Case{false, true, 0, 16}}) {
    const WrapScope scope(c.y, c.x);
    EXPECT_LT(test::relative_l2(predict(rolled(x, c.down, c.right)), rolled(predict(x), c.down, c.right)), 1e-5);
  }
  // Otherwise the edges are seen.
  EXPECT_GT(test::relative_l2(predict(rolled(x, 8, 8)), rolled(predict(x), 8, 8)), 1e-2);
  const WrapScope scope(true, false);
  EXPECT_GT(test::relative_l2(predict(rolled(x, 0, 8)), rolled(predict(x), 0, 8)), 1e-2);
}

class SeamlessPictures : public testing::Test {
 protected:
  SeamlessPictures() : model_(config()) { test::fill_synthetic(model_, "first_stage_model."); }
  static AutoencoderConfig config() { return tools::synthetic_config("tiny").autoencoder; }
  AutoencoderKL model_;
};

TEST_F(SeamlessPictures, TheDecoderFollowsEachPixelOfTheLatent) {
  const Tensor z = test::random({1, 8, 12, 4});
  const WrapScope scope(true, true);
  EXPECT_LT(test::relative_l2(model_.decode(rolled(z, 1, 3)), rolled(model_.decode(z), 8, 24)), 1e-5);
  const Tensor picture = test::random({1, 64, 64, 3});
  EXPECT_LT(test::relative_l2(model_.encode(rolled(picture, 8, 16)), rolled(model_.encode(picture), 1, 2)), 1e-5);
}

TEST(SeamlessTiles, TakeTheirBorderFromTheOtherSide) {
  const AutoencoderConfig config{.ch = 32, .resolution = 64, .ch_mult = {1, 2, 2}, .num_res_blocks = 1};
  AutoencoderKL model(config);
  test::fill_synthetic(model, "first_stage_model.");
  constexpr int64_t kBudget = 600'000;
  constexpr int kPasses = 13;  // one for each norm, which leaves only rounding
  const auto tiles = [&](int64_t height, int64_t width) {
    const TilePlan plan = plan_tiles(config, height, width, kBudget);
    const int64_t scale = config.downsampling() / plan.factor;
    return std::pair(cut(height * scale, plan).size(), cut(width * scale, plan).size());
  };
  // Several tiles each way, then a row of tiles that are as high as the picture.
  const Tensor square = test::random({1, 14, 16, 4}), flat = test::random({1, 3, 30, 4});
  ASSERT_GT(std::min(tiles(14, 16).first, tiles(14, 16).second), 1u);
  ASSERT_EQ(tiles(3, 30).first, 1u);
  ASSERT_GT(tiles(3, 30).second, 1u);
  for (const bool x : {true, false}) {
    const WrapScope scope(true, x);
    const Tensor exact = model.decode(square);
    EXPECT_LT(test::relative_l2(model.decode_tiled(square, kBudget, kPasses), exact), 1e-5);
    EXPECT_TRUE(test::same_bytes(model.decode_tiled(square, int64_t{1} << 40), exact));
  }
  const WrapScope scope(true, true);
  EXPECT_LT(test::relative_l2(model.decode_tiled(flat, kBudget, kPasses), model.decode(flat)), 1e-5);
}

}  // namespace
}  // namespace sumi::models
