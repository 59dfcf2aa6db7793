#include "models/unet/unet.h"
#include "models/unet/res_block.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "ops/activation.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/profile.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"

namespace sumi::models {
namespace {

void fill(nn::Module& module) { test::fill_synthetic(module, "model.diffusion_model."); }

Tensor ramp(const Shape& shape) {
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  for (int64_t i = 0; i < out.numel(); ++i) values[i] = static_cast<float>(i % 17) / 8.0f - 1.0f;
  return out;
}

UNetConfig small() {
  return {.model_channels = 32,
          .num_res_blocks = {1},
          .channel_mult = {1, 2, 2},
          .transformer_depth = {0, 1, 0},
          .num_heads = 4,
          .context_dim = 16};
}

TEST(UNet, TakesLatentsOfAnySize) {
  UNet unet(small());
  fill(unet);
  for (const Shape& shape : {Shape{1, 8, 8, 4}, Shape{2, 9, 17, 4}, Shape{1, 7, 5, 4}, Shape{1, 1, 3, 4}}) {
    const Tensor out = unet(ramp(shape), std::vector<double>(static_cast<size_t>(shape[0]), 10.0),
                            {.sequence = ramp({shape[0], 77, 16})});
    EXPECT_EQ(out.shape(), shape);
  }
}

TEST(UNet, ResamplingWithoutConvolutionsNeedsEvenSizes) {
  for (const bool blocks : {false, true}) {
    UNetConfig config = small();
    config.conv_resample = false;
    config.resblock_updown = blocks;
    config.use_scale_shift_norm = true;
    config.use_spatial_transformer = false;
    config.context_dim = 0;
    UNet unet(config);
    fill(unet);
    EXPECT_EQ(unet(ramp({2, 8, 12, 4}), {3.0, 4.0}, {}).shape(), (Shape{2, 8, 12, 4}));
    EXPECT_THROW(unet(ramp({1, 9, 8, 4}), {3.0}, {}), Error);
  }
}

TEST(UNet, BatchEntriesDoNotMix) {
  UNet unet(small());
  fill(unet);
  const Tensor x = ramp({2, 8, 8, 4}), context = ramp({2, 77, 16});
  const Tensor both = unet(x, {3.0, 700.0}, {.sequence = context}),
               second = unet(x.rows(1, 2), {700.0}, {.sequence = context.rows(1, 2)});
  const HostView<float> got(both.rows(1, 2)), want(second);
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5);
}

// 32 groups would not divide any of these widths.
TEST(UNet, NormsAsManyGroupsAsItIsTold) {
  for (const bool text : {true, false}) {
    UNetConfig config = small();
    config.model_channels = 8;
    config.norm_groups = 4;
    config.use_spatial_transformer = text;
    config.use_scale_shift_norm = !text;
    if (!text) config.context_dim = 0;
    UNet unet(config);
    fill(unet);
    EXPECT_EQ(unet(ramp({1, 8, 8, 4}), {3.0}, {.sequence = text ? ramp({1, 77, 16}) : Tensor()}).shape(),
              (Shape{1, 8, 8, 4}));
  }
}

TEST(ResBlock, NormsAsManyGroupsAsItIsTold) {
  const Tensor x = ramp({1, 4, 4, 8});
  for (const int64_t groups : {1, 2, 8}) {
    ResBlock block({.in = 8, .out = 8, .time = 4, .norm_groups = groups});
    std::map<std::string, Tensor> values;
    nn::for_each_param(block, "", [&](const std::string& name, nn::Param& param) {
      param.value = name.find("out_layers.0") != std::string::npos || name.find("in_layers.0") != std::string::npos
                        ? Tensor::full(param.shape, name.ends_with("weight") ? 1.0f : 0.0f)
                        : ramp(param.shape);
      values.emplace(name, param.value);
    });
    const Tensor emb = Tensor::full({1, 4}, 0.5f);
    const Tensor ones = Tensor::full({8}, 1.0f), zeros = Tensor::zeros({8});
    const auto norm = [&](const Tensor& h) {
      return group_norm(h, ones, zeros, {.groups = groups, .act = Act::kSilu});
    };
    const auto conv = [&](const Tensor& h, const std::string& name) {
      return conv2d(h, values.at(name + ".weight"), values.at(name + ".bias"), {.pad_begin = 1, .pad_end = 1});
    };
    Tensor h = add_per_channel(conv(norm(x), "in_layers.2"),
                               linear(silu(emb), values.at("emb_layers.1.weight"), values.at("emb_layers.1.bias")));
    const HostView<float> expected(conv(norm(h), "out_layers.3") + x), got(block(x, {.emb = emb}));
    for (int64_t k = 0; k < x.numel(); ++k) EXPECT_NEAR(got[k], expected[k], 1e-4) << groups;
  }
}

double flops_of(const std::function<Tensor()>& run, Tensor* out) {
  const Profile profile;
  *out = run();
  return profile.flops();
}

TEST(UNet, KeysAndValuesOfATextAreMadeOnce) {
  UNet unet(small());
  fill(unet);
  const Tensor x = ramp({2, 8, 8, 4}), first = ramp({2, 77, 16});
  Tensor second = ramp({2, 77, 16});
  for (float& value : second.host_edit<float>()) value = -value;
  ContextCache cache;
  Tensor out, cached;
  for (const Tensor& context : {first, second, first}) {
    const double full = flops_of([&] { return unet(x, {3.0, 700.0}, {.sequence = context}); }, &out);
    for (const bool kept : {false, true}) {
      const double flops = flops_of([&] { return unet(x, {3.0, 700.0}, {.sequence = context}, &cache); }, &cached);
      // Four blocks of width 64 attend: one on the way down, one in the middle, two on the way up.
      EXPECT_EQ(full - flops, kept ? 4 * 2 * (2.0 * 2 * 77 * 16 * 64) : 0.0);
      EXPECT_TRUE(test::same_bytes(out, cached));
    }
  }
}

}  // namespace
}  // namespace sumi::models
