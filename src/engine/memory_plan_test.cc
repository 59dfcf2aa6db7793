#include "engine/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "core/context.h"
#include "core/host_memory.h"
#include "engine/memory_plan_walk.h"
#include "engine/open.h"
#include "models/taesd/taesd.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/taesd_files.h"

namespace sumi::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Largest sum of live bytes while `work` runs, above what was live before.
int64_t measured_peak(const std::function<void()>& work) {
  forget_host_memory_peak();
  const int64_t live = host_memory().live_bytes;
  work();
  return host_memory().peak_bytes - live;
}

OpenModel tiny(const std::string& dtype = "auto") {
  return open_model(
      {.path = test::synthetic_model().string(), .config = std::string(SUMI_TEST_DATA) + "/tiny.yaml", .dtype = dtype});
}

// The plan must not be too low; some room above the measured peak is intended. The kernels' scratch, a few MB whatever
// the size of the picture, is part of the plan's overhead.
void expect_covers(int64_t planned, int64_t measured, double most = 1.5) {
  constexpr double kScratch = 8e6;
  ASSERT_GT(measured, 0);
  EXPECT_GE(static_cast<double>(planned) + kScratch, static_cast<double>(measured));
  EXPECT_LE(static_cast<double>(planned), most * static_cast<double>(measured));
}

TEST(MemoryPlan, CoversWhatTheNetworksTake) {
  const OpenModel opened = tiny();
  const models::StableDiffusion model = load_model(opened);
  const Tensor context = Tensor::zeros({2, 77, 64});
  // Powers of two, which the allocator does not round up.
  for (const int64_t side : {32, 64}) {
    const Tensor x = Tensor::zeros({2, side, side, 4});
    expect_covers(unet_peak(opened.config.unet, 2, side, side), measured_peak([&] {
                    model.predict(x, {1.0, 1.0}, {.sequence = context});
                  }));
  }
  for (const int64_t side : {32, 64}) {
    const Tensor z = Tensor::zeros({1, side, side, 4});
    expect_covers(decoder_peak(opened.config.autoencoder, side, side), measured_peak([&] { model.decode(z); }));
  }
  for (const int64_t side : {32, 64}) {
    expect_covers(encoder_peak(opened.config.autoencoder, side, side), measured_peak([&] {
                    const Tensor picture = Tensor::zeros({1, 8 * side, 8 * side, 3});
                    model.encode(picture);
                  }));
  }
}

// f16 and bf16 activations take half, but float copies are made of what an op works on.
TEST(MemoryPlan, CoversEachTypeOfActivations) {
  for (const DType type : {DType::kF16, DType::kBF16}) {
    OpenModel opened = tiny();
    opened.activations = type;
    const models::StableDiffusion model = load_model(opened);
    const Tensor context = Tensor::zeros({2, 77, 64}), x = Tensor::zeros({2, 64, 64, 4}), z = x.rows(0, 1);
    const MemoryPlan plan = plan_memory(*opened.checkpoint, opened.config, {.activations = type});
    constexpr double kScratch = 8e6;
    const int64_t unet = measured_peak([&] { model.predict(x, {1.0, 1.0}, {.sequence = context}); });
    const int64_t decoder = measured_peak([&] { model.decode(z); });
    EXPECT_GE(static_cast<double>(plan.unet_activations) + kScratch, static_cast<double>(unet)) << name_of(type);
    EXPECT_GE(static_cast<double>(plan.decoder_activations) + kScratch, static_cast<double>(decoder)) << name_of(type);
    EXPECT_LE(static_cast<double>(plan.unet_activations), 1.6 * static_cast<double>(unet)) << name_of(type);
    EXPECT_LE(static_cast<double>(plan.decoder_activations), 1.6 * static_cast<double>(decoder)) << name_of(type);
  }
}

TEST(MemoryPlan, CountsWeightsAndCopies) {
  const JobSize job{.latent_height = 16, .latent_width = 16};
  const OpenModel plain = tiny(), halved = tiny("f16");
  const MemoryPlan stored = plan_memory(*plain.checkpoint, plain.config, job);
  const MemoryPlan cast = plan_memory(*halved.checkpoint, halved.config, job);
  EXPECT_EQ(stored.copied_weights, 0);
  EXPECT_GT(stored.unet_weights, 0);
  EXPECT_EQ(stored.unet_weights, 2 * cast.unet_weights);
  EXPECT_GE(cast.copied_weights, cast.unet_weights + cast.decoder_weights);
  EXPECT_GT(stored.resident(), stored.required());
  // Of what is mapped only one network's weights are needed at once, beside that phase's activations.
  EXPECT_EQ(stored.mapped_unet, stored.unet_weights);
  EXPECT_EQ(stored.mapped_decoder, stored.decoder_weights);
  EXPECT_EQ(cast.mapped_unet + cast.mapped_decoder, 0);
  MemoryPlan uneven = stored;
  uneven.unet_activations = 1'000;
  uneven.decoder_activations = uneven.unet_weights;
  EXPECT_EQ(uneven.required() - stored.required(), uneven.decoder_weights + uneven.unet_weights -
                                                       std::max(stored.unet_weights + stored.unet_activations,
                                                                stored.decoder_weights + stored.decoder_activations));
}

// Pages of mapped weights are given back around the encoding of pictures, and after the last step.
TEST(MemoryPlan, FollowsThePagesOfMappedWeights) {
  MemoryPlan plan;
  const int64_t overhead = plan.resident();
  plan = {.mapped_unet = 1000, .mapped_decoder = 60, .mapped_encoder = 40, .mapped_text = 200};
  plan.unet_activations = 100;
  plan.decoder_activations = 300;
  plan.encoder_activations = 250;
  const auto resident = [&] { return plan.resident() - overhead; };
  EXPECT_EQ(resident(), 1200 + 100);  // the text encoder's stay while the UNet runs
  plan.loads_first = true;
  EXPECT_EQ(resident(), 1300 + 100);  // all of the file, which loading has read
  plan.gives_back = true;
  EXPECT_EQ(resident(), 1300);
  plan.loads_first = false;
  EXPECT_EQ(resident(), 1000 + 100);
  plan.decoder_activations = 5000;
  EXPECT_EQ(resident(), 60 + 5000);
  plan.encoder_activations = 9000;
  EXPECT_EQ(resident(), 40 + 9000);
  plan.between_passes = true;
  EXPECT_EQ(resident(), 1000 + 60 + 40 + 9000);
  plan.encoder_activations = 0;
  EXPECT_EQ(resident(), 60 + 5000);
  plan.several_batches = true;
  EXPECT_EQ(resident(), 1300 + 5000);
  plan.copied_weights = 7;
  plan.control_weights = 70;
  plan.other = 700;
  EXPECT_EQ(resident(), 1300 + 5000 + 777);
}

TEST(MemoryPlan, CountsTheTextsKeysAndValues) {
  const OpenModel opened = tiny();
  const models::StableDiffusion model = load_model(opened);
  const Tensor x = Tensor::zeros({2, 8, 8, 4}), context = Tensor::zeros({2, 256, 64});
  const int64_t before = host_memory().live_bytes;
  models::ContextCache cache;
  model.predict(x, {1.0, 1.0}, {.sequence = context}, &cache);
  EXPECT_EQ(context_bytes(opened.config.unet, 2, 256), context.bytes() + host_memory().live_bytes - before);
}

OpenModel tiny_with_taesd(const test::TempFolder& folder) {
  for (const std::string half : {"decoder", "encoder"})
    io::write_safetensors(folder / ("taesd_" + half + ".safetensors"), test::tiny_autoencoder(half));
  return open_model({.path = test::synthetic_model().string(),
                     .config = std::string(SUMI_TEST_DATA) + "/tiny.yaml",
                     .vae = (folder / "taesd_decoder.safetensors").string()});
}

TEST(MemoryPlan, CoversATinyAutoencoder) {
  const test::TempFolder folder;
  const OpenModel opened = tiny_with_taesd(folder);
  const models::StableDiffusion model = load_model(opened);
  const models::TaesdConfig config;
  constexpr double kTight = 1.05;
  for (const int64_t side : {32, 64}) {
    const Tensor z = Tensor::zeros({1, side, side, 4});
    expect_covers(tiny_decoder_peak(config, side, side), measured_peak([&] { model.decode(z); }), kTight);
    expect_covers(tiny_encoder_peak(config, side, side), measured_peak([&] {
                    const Tensor picture = Tensor::zeros({1, 8 * side, 8 * side, 3});
                    model.encode(picture);
                  }),
                  kTight);
  }
  const Tensor z = Tensor::zeros({1, 64, 64, 4});
  constexpr int64_t kBudget = 30'000'000;
  const int64_t tiled = tiny_tiled_decoder_peak(config, 64, 64, kBudget);
  const auto decode = [&] { model.autoencoder().decode_tiled(z, kBudget); };
  expect_covers(tiled, measured_peak(decode));
  const ContextScope wraps([](Context& context) { context.wrap_x = context.wrap_y = true; });
  expect_covers(tiled, measured_peak(decode), kTight);
}

TEST(MemoryPlan, CountsATinyAutoencoder) {
  const test::TempFolder folder;
  const OpenModel full = tiny(), small = tiny_with_taesd(folder);
  const auto bytes = [](const std::string& half) {
    int64_t sum = 0;
    for (const auto& [name, shape] : test::manifest_shapes("taesd/" + half)) sum += 4 * shape.numel();
    return sum;
  };
  const MemoryPlan plan = plan_memory(*small.checkpoint, small.config, {.encodes = true});
  EXPECT_EQ(plan.decoder_weights, bytes("decoder"));
  EXPECT_EQ(plan.encoder_weights, bytes("encoder"));
  EXPECT_EQ(plan.decoder_activations, tiny_decoder_peak({}, 64, 64));
  EXPECT_EQ(plan.encoder_activations, tiny_encoder_peak({}, 64, 64));
  EXPECT_EQ(plan_memory(*small.checkpoint, small.config, {.tiled_decode = true}).decoder_activations,
            plan.tiled_activations);
  // Previews are drawn between two passes of the denoiser.
  const JobSize large{.latent_height = 128, .latent_width = 128, .preview_width = 64};
  EXPECT_GE(plan_memory(*full.checkpoint, full.config, large).unet_activations, tiny_decoder_peak({}, 128, 128));
}

TEST(MemoryPlan, GrowsWithTheJob) {
  const OpenModel opened = tiny();
  const auto peak = [&](int64_t batch, int64_t side) { return unet_peak(opened.config.unet, batch, side, side); };
  EXPECT_EQ(peak(4, 16), 4 * peak(1, 16));
  EXPECT_EQ(peak(1, 64), 16 * peak(1, 16));
  EXPECT_GT(peak(1, 15), 0);
  EXPECT_GT(unet_peak(opened.config.unet, 1024, 1 << 30, 1 << 30), int64_t{1} << 53);  // saturates, does not wrap
}

TEST(MemoryPlan, RefusesWhatCannotFit) {
  MemoryPlan plan;
  plan.unet_weights = plan.mapped_unet = 2'000'000'000;
  plan.unet_activations = 1'000'000'000;
  EXPECT_NO_THROW(check_memory(plan, {}));
  EXPECT_NO_THROW(check_memory(plan, {.available = 4'000'000'000}));
  EXPECT_THROW(check_memory(plan, {.available = 2'500'000'000}), Error);
  EXPECT_NO_THROW(check_memory(plan, {.address_space = 1'500'000'000}));
  EXPECT_THROW(check_memory(plan, {.address_space = 1'250'000'000}), Error);  // the allocator rounds sizes up
  EXPECT_THROW(check_memory(plan, {.address_space = 500'000'000}), Error);
  EXPECT_EQ(describe(plan, {.available = 4'000'000'000}),
            "needs about 3.1 GB of memory: 2.0 GB of weights, 1.0 GB to sample, 0 MB to decode; 4.0 GB are available");
}

TEST(MemoryPlan, TilesAreTheWayOutWhereTheDecoderNeedsMost) {
  const auto refusal = [](const MemoryPlan& plan) {
    try {
      check_memory(plan, {.available = 1'000'000'000});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  constexpr int64_t kMuch = 2'000'000'000, kLittle = 1'000'000;
  EXPECT_THAT(refusal({.decoder_activations = kMuch, .tiled_activations = kLittle}), HasSubstr("`tiled_decode`"));
  EXPECT_THAT(refusal({.decoder_activations = kMuch, .tiled_activations = kLittle, .tiled_decode = true}),
              AllOf(HasSubstr("smaller picture"), Not(HasSubstr("`tiled_decode`"))));
  // A small picture fits in one tile, and decoding it in tiles takes more.
  EXPECT_THAT(refusal({.decoder_activations = kMuch, .tiled_activations = 2 * kMuch}),
              Not(HasSubstr("`tiled_decode`")));
  EXPECT_THAT(refusal({.unet_activations = kMuch, .decoder_activations = 1, .tiled_activations = 1}),
              Not(HasSubstr("`tiled_decode`")));
}

TEST(MemoryPlan, TheSystemSaysWhatThereIs) {
  const MemoryLimits limits = memory_limits();
  ASSERT_TRUE(limits.available);
  EXPECT_GT(*limits.available, 0);
}

}  // namespace
}  // namespace sumi::engine
