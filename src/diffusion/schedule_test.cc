// Noise schedules, and the grids of sampling schedules against the reference's timesteps and levels.
#include "diffusion/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "diffusion/sigma_table.h"
#include "tests/support/diffusion_fixture.h"
#include "tests/support/mini_safetensors.h"

namespace sumi::diffusion {
namespace {

// ---- the forward process

TEST(NoiseSchedule, LinearIsTheOriginals) {
  const NoiseSchedule noise = original_noise();
  ASSERT_EQ(noise.timesteps(), 1000);
  EXPECT_NEAR(noise.alphas_cumprod[0], 1.0 - 0.00085, 1e-12);
  EXPECT_NEAR(noise.alphas_cumprod[999], 0.0046600, 1e-6);
  EXPECT_EQ(make_noise_schedule("scaled_linear", 1000, 0.00085, 0.012).alphas_cumprod, noise.alphas_cumprod);
}

TEST(NoiseSchedule, OtherKinds) {
  const NoiseSchedule betas = make_noise_schedule("linear_betas", 3, 0.1, 0.3);
  EXPECT_NEAR(betas.alphas_cumprod[2], 0.9 * 0.8 * 0.7, 1e-12);
  const NoiseSchedule cosine = make_noise_schedule("cosine", 1000, 0.0, 0.0);
  EXPECT_NEAR(cosine.alphas_cumprod[499], 0.4936, 1e-3);
  EXPECT_GT(cosine.alphas_cumprod[999], 0.0);
}

TEST(NoiseSchedule, RefusesWhatIsNone) {
  EXPECT_THROW(make_noise_schedule("quadratic", 1000, 0.1, 0.2), Error);
  EXPECT_THROW(make_noise_schedule("linear", 0, 0.1, 0.2), Error);
  EXPECT_THROW(make_noise_schedule("linear", 2000000, 0.1, 0.2), Error);
  EXPECT_THROW(make_noise_schedule("linear", 1000, 0.0, 0.012), Error);
  EXPECT_THROW(make_noise_schedule("linear", 1000, 0.00085, 1.0), Error);
  EXPECT_THROW(make_noise_schedule("linear", 1000, -0.1, 0.012), Error);
  EXPECT_THROW(make_noise_schedule("linear_betas", 1000, NAN, 0.012), Error);
  EXPECT_THROW(make_noise_schedule("linear", 100000, 0.5, 0.9), Error);  // leaves no signal
}

TEST(SigmaTable, GoesThereAndBack) {
  const SigmaTable table(original_noise());
  for (const double t : {0.0, 0.25, 1.0, 500.5, 998.75, 999.0}) EXPECT_NEAR(table.timestep_of(table.at(t)), t, 1e-9);
  EXPECT_EQ(table.timestep_of(table.smallest() / 2.0), 0.0);
  EXPECT_EQ(table.timestep_of(table.largest() * 2.0), 999.0);
  EXPECT_DOUBLE_EQ(table.at_linear(10.5), 0.5 * (table.at(10.0) + table.at(11.0)));
}

// ---- schedules

TEST(Schedules, UniformIsTheOriginalsGridWhereverThatWorks) {
  int where_it_works = 0;
  for (int steps = 1; steps <= 1000; ++steps) {
    std::vector<double> original;
    for (int t = 0; t < 1000; t += 1000 / steps) original.insert(original.begin(), t + 1);
    const std::vector<double> grid = grid_of({.sampler = "ddim", .steps = steps}).timesteps();
    if (original.front() < 1000) {
      ++where_it_works;
      ASSERT_EQ(grid, original) << steps;
    }
    ASSERT_TRUE(std::is_sorted(grid.rbegin(), grid.rend())) << steps;
    ASSERT_LE(grid.front(), 999.0) << steps;
    ASSERT_GE(grid.back(), 0.0) << steps;
    ASSERT_GE(static_cast<int>(grid.size()), steps < 1000 ? steps : 999) << steps;
  }
  EXPECT_EQ(where_it_works, 1000 - 5 - 11 - 83 - 500);  // 3, 9, 27, 36, 37; 101-111; 251-333; 501-1000
}

TEST(Schedules, ThirtyStepsAreThirtyOneAsInTheOriginal) {
  const auto grid = grid_of({.sampler = "plms", .steps = 30}).timesteps();
  EXPECT_EQ(grid.size(), 31u);
  EXPECT_EQ(grid.front(), 991.0);
}

TEST(Schedules, SigmasEqualTheReference) {
  const std::string file = std::string(SUMI_TEST_DATA) + "/tiny_samplers.safetensors";
  const SigmaTable table(original_noise());
  for (const std::string name : {"default", "karras"}) {
    const auto want = test::read_tensor<float>(file, "sigmas_" + name);
    const std::vector<double> got = find_schedule(name).sigmas(table, 10);
    ASSERT_EQ(got.size() + 1, want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i] / want[i], 1.0, 5e-5) << name << " " << i;
  }
}

TEST(Schedules, ExponentialIsGeometric) {
  const SigmaTable table(original_noise());
  const std::vector<double> sigmas = find_schedule("exponential").sigmas(table, 5);
  EXPECT_DOUBLE_EQ(sigmas.front(), table.largest());
  EXPECT_NEAR(sigmas.back(), table.smallest(), 1e-12);
  for (size_t i = 2; i < 5; ++i) EXPECT_NEAR(sigmas[i] / sigmas[i - 1], sigmas[1] / sigmas[0], 1e-12);
}
struct GoldenGrid {
  std::string name, sampler, schedule;
};

class Timesteps : public testing::TestWithParam<GoldenGrid> {};

TEST_P(Timesteps, EqualTheReference) {
  const auto& [name, sampler, schedule] = GetParam();
  const auto want = test::read_tensor<float>(std::string(SUMI_TEST_DATA) + "/tiny_samplers_diffusers.safetensors",
                                             "timesteps_" + name);
  const auto got = network_calls({.sampler = sampler, .schedule = schedule, .steps = 12});
  ASSERT_EQ(got.size(), want.size());
  // Whole ones exactly. Fractional ones come from float32 levels in the reference: 2e-3 near timestep 0.
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], want[i] == std::floor(want[i]) ? 1e-9 : 2e-3) << i;
}

std::vector<GoldenGrid> golden_grids() {
  std::vector<GoldenGrid> grids{{"plms_leading", "plms", "leading"}, {"lcm", "lcm", ""}};
  for (const std::string sampler :
       {"euler", "euler_ancestral", "ddim", "heun", "unipc", "dpmpp_2m", "dpmpp_2m_sde", "lms", "ddpm"}) {
    for (const std::string schedule : {"leading", "trailing", "linspace"})
      grids.push_back({sampler + "_" + schedule, sampler, schedule});
  }
  for (const std::string sampler : {"euler", "dpmpp_2m", "unipc"})
    grids.push_back({sampler + "_karras", sampler, "linspace_karras"});
  return grids;
}

INSTANTIATE_TEST_SUITE_P(Diffusers, Timesteps, testing::ValuesIn(golden_grids()),
                         [](const auto& test) { return test.param.name; });
}  // namespace
}  // namespace sumi::diffusion
