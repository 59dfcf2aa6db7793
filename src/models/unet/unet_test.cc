#include "models/unet/unet.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "ops/profile.h"
#include "tests/support/synthetic_parameters.h"

namespace sumi::models {
namespace {

void fill(nn::Module& module) { test::fill_synthetic(module, "model.diffusion_model."); }

Tensor ramp(const Shape& shape) {
  Tensor out = Tensor::empty(shape);
  for (int64_t i = 0; i < out.numel(); ++i) out.data<float>()[i] = static_cast<float>(i % 17) / 8.0f - 1.0f;
  return out;
}

UNetConfig small() {
  return {.model_channels = 32,
          .attention_resolutions = {2},
          .num_res_blocks = {1},
          .channel_mult = {1, 2, 2},
          .num_heads = 4,
          .context_dim = 16};
}

TEST(UNet, TakesLatentsOfAnySize) {
  UNet unet(small());
  fill(unet);
  for (const Shape& shape : {Shape{1, 8, 8, 4}, Shape{2, 9, 17, 4}, Shape{1, 7, 5, 4}, Shape{1, 1, 3, 4}}) {
    const Tensor out =
        unet(ramp(shape), std::vector<double>(static_cast<size_t>(shape[0]), 10.0), ramp({shape[0], 77, 16}));
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
  const Tensor both = unet(x, {3.0, 700.0}, context), second = unet(x.rows(1, 2), {700.0}, context.rows(1, 2));
  for (int64_t i = 0; i < second.numel(); ++i)
    EXPECT_NEAR(both.rows(1, 2).data<float>()[i], second.data<float>()[i], 1e-5);
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
  for (float& value : second.span<float>()) value = -value;
  ContextCache cache;
  Tensor out, cached;
  for (const Tensor& context : {first, second, first}) {
    const double full = flops_of([&] { return unet(x, {3.0, 700.0}, context); }, &out);
    for (const bool kept : {false, true}) {
      const double flops = flops_of([&] { return unet(x, {3.0, 700.0}, context, &cache); }, &cached);
      // Four blocks of width 64 attend: one on the way down, one in the middle, two on the way up.
      EXPECT_EQ(full - flops, kept ? 4 * 2 * (2.0 * 2 * 77 * 16 * 64) : 0.0);
      EXPECT_EQ(std::memcmp(out.raw(), cached.raw(), static_cast<size_t>(out.bytes())), 0);
    }
  }
}

}  // namespace
}  // namespace sumi::models
