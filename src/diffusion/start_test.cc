// Jobs that begin in the middle, and signals that are constrained: with every sampler, on a Gaussian.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "ops/profile.h"
#include "tests/support/gaussian_world.h"

namespace sumi::diffusion {
namespace {

using testing::HasSubstr;

double sigma_of(const Level& level) { return level.noise / level.signal; }

TEST(Process, MixesAtTheLevelOfAStep) {
  const SigmaTable table(original_noise());
  for (const std::string sampler : {"euler", "ddim"}) {
    const Grid grid = grid_of({sampler, "leading", 10});
    for (const int step : {0, 4, 9}) {
      const Level level = level_of_step(grid, step);
      EXPECT_NEAR(sigma_of(level), table.at(grid.timesteps()[static_cast<size_t>(step)]), 1e-9) << sampler;
      EXPECT_NEAR(level.signal * level.signal + level.noise * level.noise, 1.0, 1e-12);
      EXPECT_EQ(level.norm, 1.0);
    }
  }
  const Tensor x = mix(Tensor::full({1, 1, 1, 1}, 2.0f), Tensor::full({1, 1, 1, 1}, -1.0f), Level::at_alpha(0.64));
  EXPECT_FLOAT_EQ(x.host<float>()[0], 0.8f * 2.0f - 0.6f);
}

TEST(Process, EstimatesUndoTheMixture) {
  const Tensor signal = Tensor::from(std::vector<float>{2.0f, -0.5f}, {2}),
               noise = Tensor::from(std::vector<float>{-1.0f, 0.25f}, {2});
  for (const Prediction prediction : {Prediction::kEpsilon, Prediction::kVelocity, Prediction::kSample}) {
    EXPECT_EQ(prediction_of(name_of(prediction)), prediction);
    const double alpha = 0.3;
    const Tensor output = target_of(prediction, signal, noise, Level::at_alpha(alpha));
    for (const Level& level : {Level::at_alpha(alpha), Level::at_sigma(std::sqrt(1.0 / alpha - 1.0))}) {
      const Tensor x = mix(signal, noise, level);
      const Tensor found_signal = signal_of(prediction, x, output, level),
                   found_noise = noise_of(prediction, x, output, level);
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_NEAR(found_signal.host<float>()[i], signal.host<float>()[i], 1e-6) << name_of(prediction);
        EXPECT_NEAR(found_noise.host<float>()[i], noise.host<float>()[i], 1e-6) << name_of(prediction);
      }
    }
  }
  EXPECT_FALSE(prediction_of("flow"));
}

struct Middle {
  std::string sampler, schedule;
  int steps;
  enum End { kDenoised, kZero, kFirstLevel } end;
};

class BegunInTheMiddle : public testing::TestWithParam<Middle> {};

// The end point of the exact flow from a latent at the level of the first step taken.
TEST_P(BegunInTheMiddle, EndsWhereTheExactFlowEnds) {
  const Middle& job = GetParam();
  const Grid grid = grid_of({job.sampler, job.schedule, job.steps});
  const int first = job.steps / 2;
  const Level level = level_of_step(grid, first);
  const SigmaTable table(original_noise());
  const std::vector<float> x{-1.5f, 0.25f, 2.0f};
  CountedNoise noise;
  const Tensor end = sample(gaussian(), {Tensor::from(x, {1, 1, 3, 1}), first}, grid, std::ref(noise));
  for (size_t i = 0; i < x.size(); ++i) {
    const double scaled = x[i] / level.signal, low = table.smallest();
    double exact = flow(scaled, sigma_of(level), job.end == Middle::kZero ? 0.0 : low);
    if (job.end == Middle::kDenoised) exact = denoised(exact, low);
    if (job.end == Middle::kFirstLevel) exact /= std::hypot(1.0, low);
    EXPECT_NEAR(end.host<float>()[i], exact, 0.01);
  }
}

INSTANTIATE_TEST_SUITE_P(Gaussian, BegunInTheMiddle,
                         testing::Values(Middle{"euler", "karras", 200, Middle::kDenoised},
                                         Middle{"heun", "karras", 60, Middle::kDenoised},
                                         Middle{"dpm_2", "karras", 60, Middle::kDenoised},
                                         Middle{"lms", "karras", 60, Middle::kZero},
                                         Middle{"dpmpp_2m", "karras", 60, Middle::kDenoised},
                                         Middle{"dpmpp_2m", "leading", 100, Middle::kDenoised},
                                         Middle{"unipc", "exponential", 60, Middle::kDenoised},
                                         Middle{"ddim", "uniform", 500, Middle::kFirstLevel},
                                         Middle{"plms", "uniform", 100, Middle::kFirstLevel},
                                         Middle{"dpm_solver", "uniform", 111, Middle::kFirstLevel}),
                         [](const auto& test) { return test.param.sampler + "_" + test.param.schedule; });

// Mixed from clean latents and noise, a stochastic sampler's job must reach the clean distribution again.
TEST(BegunInTheMiddle, StochasticSamplersReachTheGaussian) {
  constexpr int64_t kValues = 1 << 16;
  for (const SampleOptions& options :
       {SampleOptions{"euler_ancestral", "karras", 100}, SampleOptions{"dpm_2_ancestral", "karras", 50},
        SampleOptions{"dpmpp_2s_ancestral", "karras", 50}, SampleOptions{"dpmpp_sde", "karras", 50},
        SampleOptions{"dpmpp_2m_sde", "karras", 50}, SampleOptions{"ddim", "uniform", 250, 1.0},
        SampleOptions{"ddpm", "leading", 200}}) {
    CountedNoise noise;
    const Tensor clean =
        affine(static_cast<float>(kDeviation), noise({1, 1, kValues, 1}), 0.0f, {}, static_cast<float>(kMean));
    const int first = options.steps / 2;
    const Grid grid = grid_of(options);
    const Tensor x = mix(clean, noise(clean.shape()), level_of_step(grid, first));
    const Tensor end = sample(gaussian(), {x, first}, grid, std::ref(noise));
    double sum = 0.0, squares = 0.0;
    for (const float value : end.host<float>()) {
      sum += value;
      squares += double{value} * value;
    }
    const double mean = sum / kValues, variance = squares / kValues - mean * mean;
    EXPECT_NEAR(mean, kMean, 0.025) << options.sampler;  // five standard errors are 0.016 and 0.018
    EXPECT_NEAR(variance, kDeviation * kDeviation, 0.04) << options.sampler;
  }
}

TEST(BegunInTheMiddle, LeavesOutTheStepsBefore) {
  for (const NamedHelp& sampler : list_samplers()) {
    const Grid grid = grid_of({.sampler = sampler.name, .steps = 10});
    std::vector<int> seen;
    std::vector<double> calls;
    const Predictor network = [&](const Tensor& x, double t) {
      calls.push_back(t);
      return Tensor::zeros(x.shape());
    };
    CountedNoise noise;
    sample(network, {Tensor::zeros({1, 1, 1, 1}), 7}, grid, std::ref(noise), {.on_step = [&](const StepInfo& info) {
             seen.push_back(info.step);
             EXPECT_EQ(info.steps, 10);
           }});
    EXPECT_THAT(seen, testing::ElementsAre(7, 8, 9)) << sampler.name;
    EXPECT_EQ(calls.front(), grid.timesteps()[7]) << sampler.name;
  }
  CountedNoise noise;
  sample(gaussian(), {Tensor::zeros({1, 1, 1, 1}), 7}, grid_of({"ddim", "uniform", 10}), std::ref(noise));
  EXPECT_EQ(noise.draws, 3);
}

TEST(BegunInTheMiddle, RefusesStepsThatAreNotThere) {
  const Grid grid = grid_of({"euler", "karras", 10});
  CountedNoise noise;
  for (const int step : {-1, 10, 11}) {
    try {
      sample(gaussian(), {Tensor::zeros({1, 1, 1, 1}), step}, grid, std::ref(noise));
      ADD_FAILURE() << step;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("steps 0 to 9"));
    }
    EXPECT_THROW(level_of_step(grid, step), Error);
  }
}

// ---- constraints

constexpr float kKnown = -1.25f;  // what the first half of a latent is held to

Tensor hold_half(const Tensor& x) {
  std::vector<float> values(x.host<float>().begin(), x.host<float>().end());
  std::fill_n(values.begin(), values.size() / 2, kKnown);
  return Tensor::from(values, x.shape());
}

// Values are independent here, so the free half must be the same as without a constraint.
TEST(Constraint, HoldsAPartAndLeavesTheRestWithEverySampler) {
  for (const NamedHelp& sampler : list_samplers()) {
    const Grid grid = grid_of({.sampler = sampler.name, .steps = 12});
    const auto run = [&](const SampleHooks& hooks) {
      CountedNoise noise;
      const Tensor x_T = noise({1, 4, 4, 2});
      return sample(gaussian(), {x_T}, grid, std::ref(noise), hooks);
    };
    int estimates = 0;
    const Tensor free = run({}), held = run({.on_step =
                                                 [](const StepInfo&info) {
                                                   EXPECT_EQ(info.denoised().host<float>()[0], kKnown);
                                                   EXPECT_EQ(info.denoised().host<float>()[15], kKnown);
                                                   EXPECT_NE(info.denoised().host<float>()[16], kKnown);
                                                 },
                                             .constrain =
                                                 [&](const Tensor&denoised, double sigma) {
                                                   ++estimates;
                                                   EXPECT_GE(sigma, 0.0);
                                                   return hold_half(denoised);
                                                 }});
    EXPECT_GE(estimates, 12) << sampler.name;
    for (size_t i = 0; i < 16; ++i) EXPECT_EQ(held.host<float>()[i], kKnown) << sampler.name;
    for (size_t i = 16; i < 32; ++i) EXPECT_NEAR(held.host<float>()[i], free.host<float>()[i], 1e-3) << sampler.name;
  }
}

// The estimates alone lead there, before the final latent is constrained.
TEST(Constraint, LeadsThereWhereASamplerEndsWithoutNoise) {
  for (const std::string sampler : {"euler", "heun", "dpm_2", "lms", "dpmpp_2m", "unipc", "euler_ancestral",
                                    "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde"}) {
    CountedNoise noise;
    const Tensor x_T = noise({1, 4, 4, 2});
    const auto estimates_alone = [](const Tensor& denoised, double sigma) {
      return sigma > 0.0 ? hold_half(denoised) : denoised;
    };
    const Tensor held =
        sample(gaussian(), {x_T}, grid_of({sampler, "karras", 12}), std::ref(noise), {.constrain = estimates_alone});
    for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(held.host<float>()[i], kKnown, 1e-5) << sampler;
  }
}

TEST(Constraint, MustKeepTheShape) {
  CountedNoise noise;
  EXPECT_THROW(sample(gaussian(), {Tensor::zeros({1, 1, 2, 1})}, grid_of({"ddim", "uniform", 10}), std::ref(noise),
                      {.constrain = [](const Tensor&, double) { return Tensor(); }}),
               Error);
}

// ---- the denoised latent

TEST(Callback, SeesTheDenoisedLatent) {
  for (const std::string sampler : {"euler", "ddim"}) {
    const Grid grid = grid_of({sampler, "leading", 10});
    const bool on_sigmas = sampler == "euler";
    CountedNoise noise;
    Tensor before = Tensor::full({1, 1, 1, 1}, 0.5f);
    if (on_sigmas) before = before * static_cast<float>(1.0 / level_of_step(grid, 0).signal);
    sample(gaussian(), {Tensor::full({1, 1, 1, 1}, 0.5f)}, grid, std::ref(noise),
           {.on_step = [&](const StepInfo& info) {
             const Level level = level_of_step(grid, info.step);
             const double x = before.host<float>()[0] / (on_sigmas ? 1.0 : level.signal);
             EXPECT_NEAR(info.denoised().host<float>()[0], denoised(x, sigma_of(level)), 2e-5) << sampler << info.step;
             before = info.latent.clone();
           }});
  }
}

// How many of affine's kernels ran. The trajectory's end is appended to `ends`.
int64_t affine_calls(const Grid& grid, const SampleHooks& hooks, std::vector<std::vector<float>>& ends) {
  CountedNoise noise;
  const Profile profile(Profile::Detail::kTimes);
  const HostView<float> end(sample(gaussian(), {Tensor::full({1, 1, 1, 2}, 0.5f)}, grid, std::ref(noise), hooks));
  ends.emplace_back(end.begin(), end.end());
  int64_t calls = 0;
  for (const Profile::Line& line : profile.lines()) calls += line.op == "affine" ? line.calls : 0;
  return calls;
}

// ddim steps from the estimate of the noise: the one of the signal is for the callback alone.
TEST(Callback, PaysForTheDenoisedLatentOnlyWhereItIsRead) {
  const Grid grid = grid_of({"ddim", "leading", 10});
  std::vector<std::vector<float>> ends;
  const int64_t without = affine_calls(grid, {}, ends);
  const int64_t unread = affine_calls(grid, {.on_step = [](const StepInfo&) {}}, ends);
  const auto read_twice = [](const StepInfo& info) {
    if (info.step % 5 != 0) return;
    EXPECT_TRUE(info.denoised().same_elements(info.denoised()));
  };
  const int64_t twice_read = affine_calls(grid, {.on_step = read_twice}, ends);
  EXPECT_EQ(unread, without);
  EXPECT_EQ(twice_read, without + 2);  // in steps 0 and 5, once each
  EXPECT_EQ(ends[1], ends[0]);
  EXPECT_EQ(ends[2], ends[0]);
}

}  // namespace
}  // namespace sumi::diffusion
