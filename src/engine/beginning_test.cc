#include "engine/beginning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "diffusion/noise_schedule.h"

namespace sumi::engine {
namespace {

diffusion::Grid grid(const std::string& sampler, const std::string& schedule, int steps) {
  const auto noise = diffusion::make_noise_schedule("linear", 1000, 0.00085, 0.012);
  return diffusion::make_grid(noise, {.sampler = sampler, .schedule = schedule, .steps = steps});
}

TEST(Enter, CostsTheStrengthsShareOfTheSteps) {
  for (const auto& [strength, original, diffusers, web] :
       {std::tuple{0.75, 15, 15, 16}, {0.3, 6, 6, 7}, {0.05, 1, 1, 2}, {1.0, 20, 20, 20}}) {
    diffusion::Grid ddim = grid("ddim", "uniform", 20), euler = grid("euler", "discrete", 20);
    EXPECT_EQ(enter(ddim, 20, strength, Convention::kOriginal, false).steps_of(ddim), original);
    EXPECT_EQ(enter(ddim, 20, strength, Convention::kDiffusers, false).steps_of(ddim), diffusers);
    EXPECT_EQ(enter(euler, 20, strength, Convention::kWebui, false).steps_of(euler), web);
  }
}

// 30 steps give a grid of 34: the original still runs the last ⌊s·30⌋.
TEST(Enter, TheOriginalCountsFromTheEnd) {
  diffusion::Grid ddim = grid("ddim", "uniform", 30);
  ASSERT_GT(ddim.steps(), 30);
  const Entry entry = enter(ddim, 30, 0.5, Convention::kOriginal, false);
  EXPECT_EQ(entry.steps_of(ddim), 15);
  EXPECT_EQ(entry.level.noise, diffusion::level_of_step(ddim, entry.first_step - 1).noise);
}

// diffusers' list has the asked 30, which are the last of that grid.
TEST(Enter, DiffusersRunsTheShareOfWhatWasAsked) {
  for (const auto& [strength, count] : {std::pair{0.5, 15}, {1.0, 30}, {0.1, 3}}) {
    diffusion::Grid ddim = grid("ddim", "uniform", 30);
    EXPECT_EQ(enter(ddim, 30, strength, Convention::kDiffusers, false).steps_of(ddim), count);
  }
}

// Two calls are made in the first step of plms, so one step less is needed.
TEST(Enter, PlmsOfDiffusersGoesOnAfterItsSecondCall) {
  diffusion::Grid plms = grid("plms", "leading", 20);
  const std::vector<double> before = plms.timesteps();
  const Entry entry = enter(plms, 20, 0.75, Convention::kDiffusers, false);
  EXPECT_EQ(entry.first_step, 4);
  EXPECT_EQ(plms.timesteps()[4], before[4]);
  EXPECT_EQ(plms.timesteps()[5], before[6]);
}

TEST(Enter, AMaskAndStrengthOneBeginFromNoise) {
  diffusion::Grid ddim = grid("ddim", "uniform", 20);
  EXPECT_TRUE(enter(ddim, 20, 1.0, Convention::kDiffusers, true).from_noise);
  EXPECT_TRUE(enter(ddim, 20, 1.0, Convention::kOriginal, true).from_noise);
  diffusion::Grid euler = grid("euler", "discrete", 20);
  EXPECT_FALSE(enter(euler, 20, 1.0, Convention::kWebui, true).from_noise);
}

TEST(Enter, NoStepsAreRefused) {
  diffusion::Grid ddim = grid("ddim", "uniform", 20);
  try {
    enter(ddim, 20, 0.04, Convention::kDiffusers, false);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), testing::HasSubstr("at least 0.05,"));
  }
  for (const int steps : {3, 7, 13, 9999}) {  // the advice holds
    diffusion::Grid long_grid = grid("euler", "discrete", std::min(steps, 20));
    try {
      enter(long_grid, steps, 0.0, Convention::kDiffusers, false);
      FAIL();
    } catch (const Error& error) {
      const std::string text = error.what(), mark = "at least ";
      const double advised = std::stod(text.substr(text.find(mark) + mark.size()));
      EXPECT_EQ(enter(long_grid, steps, advised, Convention::kDiffusers, false).steps_of(long_grid), 1) << steps;
    }
  }
}

// The web UI's second pass: 10 steps at 0.6 are the end of a schedule of 16.
TEST(SecondPass, RunsExactlyItsSteps) {
  EXPECT_EQ(grid_steps(10, 0.6), 16);
  EXPECT_EQ(grid_steps(20, 1.0), 20);
  const diffusion::Grid euler = grid("euler", "discrete", 16);
  EXPECT_EQ(last_steps(euler, 10).steps_of(euler), 10);
}

}  // namespace
}  // namespace sumi::engine
