// What a UNet does with each part of a Conditioning: uses it, or refuses it with an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/unet/res_block.h"
#include "models/unet/transformer.h"
#include "models/unet/unet.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"

namespace sumi::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kPrefix = "model.diffusion_model.";

// Two skip connections, both [N,8,8,32].
UNetConfig small(int64_t in_channels = 4) {
  return {.in_channels = in_channels,
          .model_channels = 32,
          .num_res_blocks = {1},
          .channel_mult = {1},
          .transformer_depth = {0},
          .num_heads = 4,
          .context_dim = 16};
}

template <class M> M filled(M module, const std::string& name) {
  test::fill_synthetic(module, kPrefix + name);
  return module;
}

ResBlock res_block(int64_t in, const std::string& name) {
  return filled(ResBlock({.in = in, .out = 32, .time = 128, .norm_groups = 32}), name);
}

// That UNet written out, with `control` added by hand.
Tensor by_hand(const Tensor& x, const std::vector<double>& timesteps, const Tensor& text,
               const ControlResiduals& control) {
  const auto time1 = filled(nn::Linear(32, 128), "time_embed.0."),
             time2 = filled(nn::Linear(128, 128), "time_embed.2.");
  const LayerInput c{.emb = time2(time1(nn::timestep_embedding(timesteps, 32, Device::kCpu), {.act = Act::kSilu})),
                     .context = text};
  const Tensor skip0 = filled(ConvLayer(4, 32), "input_blocks.0.0.")(x, c);
  const Tensor skip1 = res_block(32, "input_blocks.1.0.")(skip0, c);
  SpatialTransformer attention({.channels = 32,
                                .heads = 4,
                                .head_dim = 8,
                                .depth = 1,
                                .context_dim = 16,
                                .norm_groups = 32,
                                .linear_projections = false});
  test::fill_synthetic(attention, kPrefix + "middle_block.1.");
  Tensor h = res_block(32, "middle_block.0.")(skip1, c);
  h = res_block(32, "middle_block.2.")(attention(h, c), c) + control.middle;
  h = res_block(64, "output_blocks.0.0.")(concat_channels(h, skip1 + control.skips[1]), c);
  h = res_block(64, "output_blocks.1.0.")(concat_channels(h, skip0 + control.skips[0]), c);
  const auto norm = filled(nn::GroupNorm(32, {.groups = 32, .act = Act::kSilu}), "out.0.");
  return filled(nn::Conv2d(32, 4, {.kernel = 3, .pad_begin = 1}), "out.2.")(norm(h));
}

bool same_bytes(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && test::same_bytes(a, b); }

class UNetConditioning : public testing::Test {
 protected:
  UNetConditioning() { test::fill_synthetic(unet_, kPrefix); }

  Tensor run(const Conditioning& conditioning) const { return unet_(x_, {3.0, 700.0}, conditioning); }

  std::string refusal(const Conditioning& conditioning) const {
    try {
      run(conditioning);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  UNet unet_{small()};
  const Tensor x_ = test::random({2, 8, 8, 4}), text_ = test::random({2, 5, 16});
};

TEST_F(UNetConditioning, ControlResidualsAreAddedToTheSkipsAndTheMiddle) {
  const auto residual = [] { return test::random({2, 8, 8, 32}); };
  const ControlResiduals control{.skips = {residual(), residual()}, .middle = residual()};
  const Tensor controlled = run({.sequence = text_, .control = control});
  EXPECT_TRUE(same_bytes(controlled, by_hand(x_, {3.0, 700.0}, text_, control)));
  EXPECT_FALSE(same_bytes(controlled, run({.sequence = text_})));

  const Tensor zero = Tensor::zeros({2, 8, 8, 32});
  const ControlResiduals none{.skips = {zero, zero}, .middle = zero};
  EXPECT_TRUE(same_bytes(run({.sequence = text_}), by_hand(x_, {3.0, 700.0}, text_, none)));
  // Each by itself as well.
  EXPECT_TRUE(same_bytes(run({.sequence = text_, .control = {.middle = control.middle}}),
                         by_hand(x_, {3.0, 700.0}, text_, {.skips = {zero, zero}, .middle = control.middle})));
}

TEST_F(UNetConditioning, ChannelsAreConcatenatedToTheLatents) {
  UNet inpainting(small(9));
  test::fill_synthetic(inpainting, kPrefix);
  const Tensor channels = test::random({2, 8, 8, 5});
  const Tensor given = inpainting(x_, {3.0, 700.0}, {.sequence = text_, .channels = channels});
  EXPECT_TRUE(same_bytes(given, inpainting(concat_channels(x_, channels), {3.0, 700.0}, {.sequence = text_})));
}

TEST_F(UNetConditioning, RefusesWhatItCannotUse) {
  EXPECT_THAT(refusal({.sequence = text_, .pooled = Tensor::zeros({2, 16})}),
              HasSubstr("this model takes no pooled text vector, but it was given one [2, 16]"));
  EXPECT_THAT(refusal({.sequence = text_, .added = Tensor::zeros({2, 6})}),
              HasSubstr("this model takes no vector of sizes, but it was given one [2, 6]"));
  EXPECT_THAT(refusal({.sequence = text_, .channels = Tensor::zeros({2, 8, 8, 5})}),
              AllOf(HasSubstr("takes 4 channels"), HasSubstr("have 4 and 5 are concatenated")));
  EXPECT_THAT(refusal({.sequence = text_, .channels = Tensor::zeros({2, 4, 8, 5})}),
              HasSubstr("cannot be concatenated to the latents [2, 8, 8, 4]"));
  EXPECT_THAT(refusal({.sequence = text_, .control = {.skips = {Tensor::zeros({2, 8, 8, 32})}}}),
              HasSubstr("has 2 skip connections, but 1 control residuals"));
  EXPECT_THAT(refusal({.sequence = text_, .control = {.middle = Tensor::zeros({2, 8, 8, 16})}}),
              AllOf(HasSubstr("[2, 8, 8, 16]"), HasSubstr("[2, 8, 8, 32]"), HasSubstr("control network")));
  EXPECT_THAT(refusal({}), HasSubstr("needs a text context"));
  EXPECT_EQ(unet_.wants().sequence, 16);
  EXPECT_EQ(unet_.wants().pooled, 0);
  EXPECT_EQ(unet_.wants().added, 0);
}

}  // namespace
}  // namespace sumi::models
