#include "models/autoencoder_kl/tiles.h"

#include <gtest/gtest.h>

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "ops/tiled_norms.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"

namespace sumi::models {
namespace {

AutoencoderConfig small() { return {.ch = 32, .resolution = 64, .ch_mult = {1, 2, 2}, .num_res_blocks = 1}; }

class TiledDecode : public testing::Test {
 protected:
  TiledDecode() : model_(small()), z_(test::random({1, 40, 52, 4})) {
    test::fill_synthetic(model_, "first_stage_model.");
    // A picture whose parts differ.
    const HostEdit<float> values(z_);
    for (int64_t i = 0; i < z_.numel(); ++i) values[i] += static_cast<float>(i) / 2000.0f;
    exact_ = model_.decode(z_);
  }

  double error(int64_t budget, int passes) const {
    return test::relative_l2(model_.decode_tiled(z_, budget, passes), exact_);
  }

  AutoencoderKL model_;
  Tensor z_, exact_;
};

TEST_F(TiledDecode, OneTileIsThePicture) {
  const Tensor tiled = model_.decode_tiled(z_, int64_t{1} << 40, 0);
  ASSERT_EQ(tiled.shape(), exact_.shape());
  EXPECT_TRUE(test::same_bytes(tiled, exact_));
}

TEST_F(TiledDecode, ComesToTheExactPictureFromAnyLevel) {
  // 40x52 latents; the picture is 160x208, of 64 channels at its largest.
  for (const int64_t budget : {6'000'000, 2'000'000, 700'000}) {
    const TilePlan plan = plan_tiles(small(), 40, 52, budget);
    EXPECT_GT(cut(40 * 4 / plan.factor, plan).size() * cut(52 * 4 / plan.factor, plan).size(), 1u);
    EXPECT_GT(error(budget, 0), 1e-4);
    // With one pass per norm, only rounding is left.
    EXPECT_LT(error(budget, 13), 1e-5) << budget;
  }
}

TEST_F(TiledDecode, BeginsWhereTheWholeFits) {
  EXPECT_EQ(plan_tiles(small(), 40, 52, 10'000'000).level, 0u);
  EXPECT_EQ(plan_tiles(small(), 40, 52, 4'000'000).level, 1u);
  EXPECT_EQ(plan_tiles(small(), 40, 52, 10'000).level, 2u);
  AutoencoderConfig attends = small();
  attends.attn_resolutions = {32};  // level 1
  EXPECT_EQ(plan_tiles(attends, 40, 52, 10'000).level, 0u);
}

TEST_F(TiledDecode, CutsWithoutGapsOrOverlap) {
  const TilePlan plan{.level = 0, .factor = 1, .own = 10, .halo = 3, .channels = 1};
  for (const int64_t size : {1, 9, 10, 11, 29, 30, 31}) {
    int64_t at = 0;
    for (const TileSide& side : cut(size, plan)) {
      EXPECT_EQ(side.begin, at);
      EXPECT_LE(side.end - side.begin, 10);
      EXPECT_EQ(side.from, std::max<int64_t>(0, side.begin - 3));
      EXPECT_EQ(side.to, std::min(size, side.end + 3));
      at = side.end;
    }
    EXPECT_EQ(at, size);
  }
}

}  // namespace
}  // namespace sumi::models
