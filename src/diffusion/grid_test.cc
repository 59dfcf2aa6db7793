// A grid: made once, then used for every batch; and names checked where there is no noise schedule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "base/count.h"
#include "tests/support/gaussian_world.h"

namespace sumi::diffusion {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<float> run(const Grid& grid, int first_step, const SampleHooks& hooks = {}) {
  CountedNoise noise;
  const Tensor x = noise({1, 2, 2, 4});
  const HostView<float> end(sample(gaussian(), {x, first_step}, grid, std::ref(noise), hooks));
  return {end.begin(), end.end()};
}

TEST(Grid, SaysWhatWasChosen) {
  const Grid grid = grid_of({.sampler = "DPM++ 2M Karras", .steps = 7});
  EXPECT_EQ(grid.steps(), 7);
  EXPECT_EQ(grid.timesteps().size(), 7u);
  EXPECT_EQ(grid.sampler_name(), "dpmpp_2m");
  EXPECT_EQ(grid.schedule_name(), "karras");
  EXPECT_EQ(grid.options().sampler, "DPM++ 2M Karras");
  EXPECT_EQ(grid_of({.sampler = "plms"}).schedule_name(), "uniform");  // its default
  EXPECT_EQ(grid_of({.sampler = "plms", .steps = 30}).steps(), 31);    // as in the original
}

TEST(Grid, IsMadeOnceForEveryBatchAndEveryStart) {
  for (const NamedHelp& sampler : list_samplers()) {
    const CountScope counts;
    const Grid grid = grid_of({.sampler = sampler.name, .steps = 10});
    EXPECT_EQ(counts["noise_schedule"], 1) << sampler.name;
    const std::vector<float> whole = run(grid, 0);
    level_of_step(grid, 4);
    const std::vector<float> later = run(grid, 4);
    EXPECT_NE(later, whole) << sampler.name;
    EXPECT_EQ(run(grid, 0), whole) << sampler.name;
    EXPECT_EQ(run(grid, 4), later) << sampler.name;
    EXPECT_EQ(counts["grid"], 1) << sampler.name;
  }
}

TEST(Grid, NeedsItsNoiseScheduleNoMore) {
  for (const NamedHelp& sampler : list_samplers()) {
    const SampleOptions options{.sampler = sampler.name, .steps = 6};
    auto noise = std::make_unique<NoiseSchedule>(original_noise());
    const auto grid = std::make_unique<Grid>(make_grid(*noise, options));
    noise->alphas_cumprod.assign(noise->alphas_cumprod.size(), 0.5);
    noise.reset();
    const Grid copy = *grid;
    EXPECT_EQ(run(copy, 0), run(grid_of(options), 0)) << sampler.name;
  }
}

TEST(Names, AreCheckedWithoutANoiseSchedule) {
  const CountScope counts;
  const auto refusal = [](const std::string& sampler, const std::string& schedule) -> std::string {
    try {
      check_sampler(sampler, schedule);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  };
  for (const NamedHelp& sampler : list_samplers()) EXPECT_EQ(refusal(sampler.name, ""), "") << sampler.name;
  EXPECT_EQ(refusal("DPM++ 2M Karras", ""), "");
  EXPECT_EQ(refusal("euler", "karras"), "");
  EXPECT_THAT(refusal("eulr", ""), AllOf(HasSubstr("eulr"), HasSubstr("euler_ancestral")));
  EXPECT_THAT(refusal("euler", "karass"), AllOf(HasSubstr("karass"), HasSubstr("karras")));
  EXPECT_THAT(refusal("ddim", "karras"), AllOf(HasSubstr("ddim"), HasSubstr("karras"), HasSubstr("uniform")));
  EXPECT_EQ(counts["grid"], 0);
  EXPECT_EQ(counts["noise_schedule"], 0);
}

}  // namespace
}  // namespace sumi::diffusion
