// Samplers on a Gaussian, whose solutions are known: the deterministic ones by their order of convergence, the
// stochastic ones by mean and variance. Then their noise draws, names, refusals and callbacks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <functional>
#include <set>

#include "tests/support/gaussian_world.h"

namespace sumi::diffusion {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The message of the usage error that the options cause; "" if there is none.
std::string refusal(const SampleOptions& options) {
  try {
    grid_of(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}
// ---- convergence to the exact solution

struct Solver {
  std::string sampler, schedule;
  int coarse, fine;  // steps
  double order;      // at least
  enum End { kDenoised, kZero, kFirstLevel } end = kDenoised;
};

// The end point of the exact flow from x_T. Samplers with kDenoised end with the network's estimate at the lowest
// level.
double exact(const Solver& solver, int steps, double x_T) {
  const SigmaTable table(original_noise());
  if (solver.end == Solver::kFirstLevel) {
    const double top = table.at(grid_of({solver.sampler, solver.schedule, steps}).timesteps()[0]);
    return flow(x_T * std::hypot(1.0, top), top, table.smallest()) / std::hypot(1.0, table.smallest());
  }
  const double x = x_T * (solver.sampler == "unipc" ? std::hypot(1.0, table.largest()) : table.largest());
  if (solver.end == Solver::kZero) return flow(x, table.largest(), 0.0);
  return denoised(flow(x, table.largest(), table.smallest()), table.smallest());
}

double error_of(const Solver& solver, int steps) {
  const std::vector<float> x_T{-1.5f, 0.25f, 2.0f};
  CountedNoise noise;
  const HostView<float> x(sample(gaussian(), {Tensor::from(x_T, {1, 1, 3, 1})},
                                 grid_of({solver.sampler, solver.schedule, steps}), std::ref(noise)));
  double worst = 0.0;
  for (size_t i = 0; i < 3; ++i) worst = std::max(worst, std::abs(x.span()[i] - exact(solver, steps, x_T[i])));
  return worst;
}

class Convergence : public testing::TestWithParam<Solver> {};

TEST_P(Convergence, HasItsOrder) {
  const Solver& solver = GetParam();
  const double coarse = error_of(solver, solver.coarse), fine = error_of(solver, solver.fine);
  const double order = std::log(coarse / fine) / std::log(static_cast<double>(solver.fine) / solver.coarse);
  RecordProperty("order", std::to_string(order));
  EXPECT_GE(order, solver.order) << "errors " << coarse << " and " << fine;
  EXPECT_LE(fine, 0.05);
}

// Step counts that put every level on a whole timestep where the grid is linear in time. On such a grid the last steps
// are long in log sigma however many there are (timesteps 1 and 0 are 0.35 apart), so dpm_solver and plms approach
// their second order only slowly.
INSTANTIATE_TEST_SUITE_P(
    Gaussian, Convergence,
    testing::Values(Solver{"euler", "karras", 20, 80, 0.9}, Solver{"euler", "discrete", 112, 334, 0.9},
                    Solver{"euler", "exponential", 20, 80, 0.9}, Solver{"heun", "karras", 20, 60, 1.9},
                    Solver{"heun", "discrete", 38, 112, 1.8}, Solver{"dpm_2", "karras", 20, 60, 1.8},
                    Solver{"dpmpp_2m", "karras", 20, 60, 1.8}, Solver{"dpmpp_2m", "exponential", 20, 60, 1.8},
                    Solver{"unipc", "exponential", 20, 60, 1.9}, Solver{"lms", "karras", 20, 40, 2.5, Solver::kZero},
                    Solver{"ddim", "uniform", 50, 200, 0.9, Solver::kFirstLevel},
                    Solver{"plms", "uniform", 20, 50, 1.7, Solver::kFirstLevel},
                    Solver{"dpm_solver", "uniform", 111, 333, 1.6, Solver::kFirstLevel}),
    [](const auto& test) { return test.param.sampler + "_" + test.param.schedule; });

struct Stochastic {
  std::string sampler, schedule;
  int steps;
  double eta = 0.0;
};

class Moments : public testing::TestWithParam<Stochastic> {
 protected:
  static constexpr int64_t kValues = 1 << 16;

  // x_T such that the first level has exactly the distribution of the forward process.
  static Tensor start(const Stochastic& job, CountedNoise& noise) {
    const Tensor z = noise({1, 1, kValues, 1});
    const SigmaTable table(original_noise());
    const double top = table.at(grid_of({job.sampler, job.schedule, job.steps}).timesteps()[0]);
    const bool unit_variance = job.schedule.empty() || job.schedule == "uniform" || job.schedule == "leading";
    const double scale = unit_variance ? std::hypot(1.0, top) : top;
    return affine(static_cast<float>(std::sqrt(variance_at(top)) / scale), z, 0.0f, {},
                  static_cast<float>(kMean / scale));
  }

  static void expect_the_gaussian(const Tensor& x) {
    double sum = 0.0, squares = 0.0;
    for (const float value : x.host<float>()) {
      sum += value;
      squares += double{value} * value;
    }
    const double mean = sum / kValues, variance = squares / kValues - mean * mean;
    // Five standard errors are 0.016 for the mean and 0.018 for the variance; the rest is the steps' own error.
    EXPECT_NEAR(mean, kMean, 0.025);
    EXPECT_NEAR(variance, kDeviation * kDeviation, 0.04);
  }
};

TEST_P(Moments, AreTheGaussians) {
  const Stochastic& job = GetParam();
  CountedNoise noise;
  const Tensor x_T = start(job, noise);
  expect_the_gaussian(
      sample(gaussian(), {x_T}, grid_of({job.sampler, job.schedule, job.steps, job.eta}), std::ref(noise)));
}

INSTANTIATE_TEST_SUITE_P(
    Gaussian, Moments,
    testing::Values(Stochastic{"euler_ancestral", "karras", 100}, Stochastic{"dpm_2_ancestral", "karras", 50},
                    Stochastic{"dpmpp_2s_ancestral", "karras", 50}, Stochastic{"dpmpp_sde", "karras", 50},
                    Stochastic{"dpmpp_2m_sde", "karras", 50}, Stochastic{"ddim", "uniform", 250, 1.0},
                    Stochastic{"ddim", "uniform", 100, 0.5}, Stochastic{"ddpm", "leading", 200}),
    [](const auto& test) { return test.param.sampler + "_" + std::to_string(test.index); });

// A consistency model jumps to the end of the flow, so any number of its steps gives the Gaussian.
TEST_F(Moments, LcmWithAPerfectConsistencyModel) {
  const SigmaTable table(original_noise());
  const Predictor consistent = [&](const Tensor& x, double t) {
    const double sigma = table.at(t), scale = std::hypot(1.0, sigma),
                 shrink = kDeviation / std::sqrt(variance_at(sigma));
    // e = (x·scale - x_0) / σ with x_0 = flow(x·scale, σ, 0)
    return affine(static_cast<float>(scale * (1.0 - shrink) / sigma), x, 0.0f, {},
                  static_cast<float>(-kMean * (1.0 - shrink) / sigma));
  };
  for (const int steps : {1, 4}) {
    CountedNoise noise;
    const Tensor x_T = start({"lcm", "", steps}, noise);
    expect_the_gaussian(sample(consistent, {x_T}, grid_of({.sampler = "lcm", .steps = steps}), std::ref(noise)));
  }
}

TEST(Prediction, NoiseVelocityAndSignalAreTheSameToEverySampler) {
  for (const NamedHelp& sampler : list_samplers()) {
    std::vector<std::vector<float>> ends;
    for (const Prediction prediction : {Prediction::kEpsilon, Prediction::kVelocity, Prediction::kSample}) {
      CountedNoise noise;
      const Tensor x_T = noise({1, 2, 4, 4});
      const HostView<float> x(sample(gaussian(prediction), {x_T},
                                     grid_of({.sampler = sampler.name, .steps = 20, .prediction = prediction}),
                                     std::ref(noise)));
      ends.emplace_back(x.begin(), x.end());
    }
    for (size_t i = 0; i < ends[0].size(); ++i) {
      ASSERT_NEAR(ends[0][i], ends[1][i], 1e-3) << sampler.name;
      ASSERT_NEAR(ends[0][i], ends[2][i], 1e-3) << sampler.name;
    }
  }
}

// ---- draws of noise: the next batch's x_T comes after them

TEST(Draws, AreThoseOfTheImplementationThatIsFollowed) {
  const auto draws = [](const std::string& sampler, const std::string& schedule, double eta = 0.0) {
    CountedNoise noise;
    sample(gaussian(), {Tensor::full({1, 1, 1, 4}, 1.0f)}, grid_of({sampler, schedule, 10, eta}), std::ref(noise));
    return noise.draws;
  };
  EXPECT_EQ(draws("ddim", "uniform"), 10);  // drawn even at eta 0
  EXPECT_EQ(draws("ddim", "uniform", 0.7), 10);
  EXPECT_EQ(draws("ddim", "leading"), 0);
  EXPECT_EQ(draws("plms", "uniform"), 11);  // twice in the first step
  EXPECT_EQ(draws("plms", "leading"), 0);
  for (const std::string sampler : {"euler", "heun", "dpm_2", "lms", "dpmpp_2m", "unipc"})
    EXPECT_EQ(draws(sampler, "karras"), 0) << sampler;
  EXPECT_EQ(draws("dpm_solver", "uniform"), 0);
  for (const std::string sampler : {"euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral"}) {
    EXPECT_EQ(draws(sampler, "karras"), 9) << sampler;  // none after the last step
  }
  EXPECT_EQ(draws("lcm", ""), 9);
}

// ---- names and refusals

TEST(Names, EverySamplerAndScheduleIsThere) {
  std::set<std::string> samplers, schedules;
  for (const NamedHelp& entry : list_samplers()) {
    samplers.insert(entry.name);
    EXPECT_FALSE(entry.help.empty()) << entry.name;
  }
  for (const NamedHelp& entry : list_schedules()) {
    schedules.insert(entry.name);
    EXPECT_FALSE(entry.help.empty()) << entry.name;
  }
  for (const std::string name :
       {"ddim", "plms", "ddpm", "dpm_solver", "euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms",
        "dpmpp_2s_ancestral", "dpmpp_2m", "dpmpp_sde", "dpmpp_2m_sde", "unipc", "lcm"}) {
    EXPECT_TRUE(samplers.contains(name)) << name;
    EXPECT_EQ(refusal({.sampler = name, .steps = 20}), "") << name;
  }
  for (const std::string name : {"uniform", "discrete", "leading", "trailing", "linspace", "karras", "exponential"}) {
    EXPECT_TRUE(schedules.contains(name)) << name;
  }
}

TEST(Names, DisplayNamesOfOthersAreUnderstood) {
  const auto resolved = [](const std::string& name) {
    std::string schedule;
    const std::string sampler = resolve_sampler(name, &schedule);
    return sampler + "/" + schedule;
  };
  EXPECT_EQ(resolved("DPM++ 2M Karras"), "dpmpp_2m/karras");
  EXPECT_EQ(resolved("DPM++ 2M SDE Exponential"), "dpmpp_2m_sde/exponential");
  EXPECT_EQ(resolved("DPM++ SDE Karras"), "dpmpp_sde/karras");
  EXPECT_EQ(resolved("DPM++ 2S a Karras"), "dpmpp_2s_ancestral/karras");
  EXPECT_EQ(resolved("DPM2 a Karras"), "dpm_2_ancestral/karras");
  EXPECT_EQ(resolved("DPM2"), "dpm_2/");
  EXPECT_EQ(resolved("Euler a"), "euler_ancestral/");
  EXPECT_EQ(resolved("LMS Karras"), "lms/karras");
  EXPECT_EQ(resolved("UniPC"), "unipc/");
  for (const std::string name : {"Euler", "Heun", "LMS", "DDIM", "PLMS", "LCM"}) EXPECT_EQ(resolved(name).back(), '/');
  EXPECT_EQ(network_calls({.sampler = "Euler Karras", .steps = 5}),
            network_calls({.sampler = "euler", .schedule = "karras", .steps = 5}));
  EXPECT_THROW(resolve_sampler("DPM++ 9M", nullptr), Error);
}

TEST(Refusals, AreSentencesThatShowTheWayOut) {
  EXPECT_THAT(refusal({.sampler = "eulr"}), AllOf(HasSubstr("eulr"), HasSubstr("euler_ancestral")));
  EXPECT_THAT(refusal({.sampler = "euler", .schedule = "karass"}), AllOf(HasSubstr("karass"), HasSubstr("karras")));
  EXPECT_THAT(refusal({.sampler = "ddim", .schedule = "karras"}),
              AllOf(HasSubstr("ddim"), HasSubstr("karras"), HasSubstr("uniform")));
  EXPECT_THAT(refusal({.sampler = "plms", .schedule = "discrete"}), HasSubstr("plms"));
  EXPECT_THAT(refusal({.sampler = "dpm_solver", .schedule = "karras"}), HasSubstr("dpm_solver"));
  EXPECT_THAT(refusal({.sampler = "lcm", .schedule = "karras"}), HasSubstr("lcm"));
  EXPECT_THAT(refusal({.sampler = "lcm", .steps = 51}), HasSubstr("50"));
  EXPECT_THAT(refusal({.sampler = "plms", .eta = 0.5}), HasSubstr("eta"));
  EXPECT_THAT(refusal({.sampler = "dpmpp_2m", .eta = 1.0}), HasSubstr("eta"));
  for (const double eta : {-0.1, 1e30, double{NAN}, double{INFINITY}})
    EXPECT_THAT(refusal({.sampler = "ddim", .eta = eta}), HasSubstr("eta"));
}

TEST(Refusals, StepCountsThatNoGridHolds) {
  for (const NamedHelp& sampler : list_samplers()) {
    for (const int steps : {0, -1, INT_MIN, INT_MAX})
      EXPECT_THAT(refusal({.sampler = sampler.name, .steps = steps}), HasSubstr("steps")) << sampler.name;
    EXPECT_EQ(refusal({.sampler = sampler.name, .steps = 1}), "") << sampler.name;
  }
  for (const std::string sampler : {"ddim", "euler", "dpmpp_2m"}) {
    for (const std::string schedule : {"leading", "trailing", "linspace"}) {
      EXPECT_THAT(refusal({.sampler = sampler, .schedule = schedule, .steps = 1001}), HasSubstr("steps"))
          << sampler << schedule;
    }
  }
}

// Every accepted combination must give a grid inside the schedule and finite latents.
TEST(Refusals, WhatIsTakenWorks) {
  for (const NamedHelp& sampler : list_samplers()) {
    for (const NamedHelp& schedule : list_schedules()) {
      for (const int steps : {1, 2, 3, 7, 50, 998, 999, 1000}) {
        const SampleOptions options{sampler.name, schedule.name, steps};
        if (!refusal(options).empty()) continue;
        const std::vector<double> timesteps = grid_of(options).timesteps();
        ASSERT_TRUE(std::is_sorted(timesteps.rbegin(), timesteps.rend()))
            << sampler.name << " " << schedule.name << " " << steps;
        ASSERT_GE(timesteps.back(), 0.0) << sampler.name << " " << schedule.name << " " << steps;
        ASSERT_LE(timesteps.front(), 999.0) << sampler.name << " " << schedule.name << " " << steps;
        CountedNoise noise;
        const Tensor x = sample(gaussian(), {Tensor::full({1, 1, 1, 1}, 0.5f)}, grid_of(options), std::ref(noise));
        ASSERT_TRUE(std::isfinite(x.host<float>()[0])) << sampler.name << " " << schedule.name << " " << steps;
      }
    }
  }
}

// ---- callbacks

TEST(Callback, ComesAfterEachStepAndMayStopTheJob) {
  for (const NamedHelp& sampler : list_samplers()) {
    std::vector<int> seen;
    int total = 0;
    const StepCallback on_step = [&](const StepInfo& info) {
      seen.push_back(info.step);
      total = info.steps;
      if (info.step == 3) throw Error(ErrorKind::kCancelled, "stopped");
    };
    CountedNoise noise;
    EXPECT_THROW(sample(gaussian(), {Tensor::zeros({1, 1, 1, 1})}, grid_of({.sampler = sampler.name, .steps = 10}),
                        std::ref(noise), {.on_step = on_step}),
                 Error);
    EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2, 3)) << sampler.name;
    EXPECT_EQ(total, 10) << sampler.name;
  }
}

TEST(Refusals, NoStepsAtAll) {
  for (const int steps : {0, -1}) {
    EXPECT_THROW(grid_of({.sampler = "ddim", .steps = steps}), Error);
    EXPECT_THROW(grid_of({.sampler = "euler", .steps = steps}), Error);
  }
}

}  // namespace
}  // namespace sumi::diffusion
