// The copies between host and device while a latent is sampled: the noise and the final latent.
#include <gtest/gtest.h>

#include "core/allocator.h"
#include "engine/noise.h"
#include "engine/sample_latent.h"
#include "io/checkpoint.h"
#include "models/config.h"
#include "tests/support/random_tensor.h"
#include "tests/support/synthetic_models.h"

namespace sumi {
namespace {

struct Case {
  std::string sampler;
  int64_t draws;  // in 20 steps, without x_T
};

class Copies : public testing::TestWithParam<Case> {};

TEST_P(Copies, AreTheNoiseAndTheLatent) {
  constexpr int kSteps = 20;
  const Shape shape{1, 16, 16, 4};
  std::shared_ptr<const io::Checkpoint> checkpoint = io::open_checkpoint(test::synthetic_model());
  const auto model = models::StableDiffusion::load(
      checkpoint, models::config_for(*checkpoint, std::string(SUMI_TEST_DATA) + "/tiny.yaml"),
      {.device = Device::kGuard, .text = false, .autoencoder = false});
  const Tensor cond = test::random({1, 77, 64}).to(Device::kGuard),
               uncond = test::random({1, 77, 64}).to(Device::kGuard);
  const Allocator& device = allocator_of(Device::kGuard);
  const CopyCounts before = device.copies();
  engine::NoiseStream noise("cpu", 42, Device::kGuard);
  const diffusion::Grid grid =
      diffusion::make_grid(model.noise_schedule(), {.sampler = GetParam().sampler, .steps = kSteps});
  const engine::SampleJob job{
      .grid = grid, .start = {noise(shape)}, .cond = {.sequence = cond}, .uncond = {.sequence = uncond}};
  const Tensor latent = engine::sample_latent(model, job, [&](const Shape& drawn) { return noise(drawn); });
  const Tensor here = latent.to(Device::kCpu);
  const int64_t bytes = here.bytes(), draws = 1 + GetParam().draws;
  EXPECT_EQ(device.copies() - before,
            (CopyCounts{.uploads = draws, .uploaded_bytes = draws * bytes, .downloads = 1, .downloaded_bytes = bytes}));
}

// The original's ddim and plms draw noise that they do not use; an ancestral sampler needs none in its last step.
INSTANTIATE_TEST_SUITE_P(Samplers, Copies,
                         testing::Values(Case{"euler", 0}, Case{"dpmpp_2m", 0}, Case{"unipc", 0}, Case{"ddim", 20},
                                         Case{"plms", 21}, Case{"euler_ancestral", 19}),
                         [](const auto& test) { return test.param.sampler; });

}  // namespace
}  // namespace sumi
