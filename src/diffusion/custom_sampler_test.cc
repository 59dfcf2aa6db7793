// A sampler added as docs/add_a_sampler.md describes, in this file only: Ralston's method of order 2. The other tests
// in this program run it like any registered sampler.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "diffusion/sampler.h"
#include "ops/elementwise.h"
#include "tests/support/gaussian_world.h"

namespace sumi::diffusion {
namespace {

// dx/dσ at x, given the estimate of the signal there.
Tensor slope(const Tensor& x, double sigma, const Tensor& denoised) {
  return affine(static_cast<float>(1.0 / sigma), x, static_cast<float>(-1.0 / sigma), denoised);
}

Tensor ralston(const Trajectory& path, Tensor x) {
  for (int i = 0; i < path.steps(); ++i) {
    const double from = path.sigmas[static_cast<size_t>(i)], h = path.sigmas[static_cast<size_t>(i) + 1] - from;
    const double between = from + 2.0 / 3.0 * h;
    const Tensor signal = path.denoised(x, i);
    if (h == -from) {  // the last step, to σ = 0: networks know no level between
      x = signal;
    } else {
      const Tensor first = slope(x, from, signal);
      const Tensor there = affine(1.0f, x, static_cast<float>(between - from), first);
      const Tensor second = slope(there, between, path.denoised(there, between));
      x = affine(1.0f, x, static_cast<float>(0.25 * h), first);
      x = affine(1.0f, x, static_cast<float>(0.75 * h), second);
    }
    path.report(i, x);
  }
  return x;
}

const Registration<Sampler> kRalston(Sampler{.name = "ralston",
                                             .help = "Ralston's method (1962), to show how a sampler is added",
                                             .aliases = {"Ralston"},
                                             .space = Space::kSigmas,
                                             .schedules = kSigmaSchedules,
                                             .run = ralston});

double error_of(int steps) {
  const SigmaTable table(original_noise());
  CountedNoise noise;
  const Tensor x = sample(gaussian(), {Tensor::full({1, 1, 1, 1}, 1.5f)},
                          grid_of({.sampler = "Ralston", .schedule = "karras", .steps = steps}), std::ref(noise));
  const double lowest = flow(1.5 * table.largest(), table.largest(), table.smallest());
  return std::abs(x.host<float>()[0] - denoised(lowest, table.smallest()));
}

TEST(CustomSampler, IsListedAndHasItsOrder) {
  const std::vector<NamedHelp> all = list_samplers();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const NamedHelp& entry) { return entry.name == "ralston"; }));
  const double coarse = error_of(20), fine = error_of(60);
  EXPECT_GE(std::log(coarse / fine) / std::log(3.0), 1.8) << "errors " << coarse << " and " << fine;
}

}  // namespace
}  // namespace sumi::diffusion
