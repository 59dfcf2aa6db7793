// Shared by the tests of schedules and samplers.
#pragma once

#include <functional>
#include <vector>

#include "base/rng.h"
#include "diffusion/sampling.h"

namespace sumi::diffusion {

inline NoiseSchedule original_noise() { return make_noise_schedule("linear", 1000, 0.00085, 0.012); }
inline Grid grid_of(const SampleOptions& options) { return make_grid(original_noise(), options); }

// Counts the draws; the noise itself is PyTorch's stream.
struct CountedNoise {
  TorchCpuGenerator generator{7};
  int draws = 0;
  Tensor operator()(const Shape& shape) {
    ++draws;
    Tensor out = Tensor::empty(shape);
    const HostEdit<float> values(out);
    generator.randn(values.span());
    return out;
  }
};

// The timesteps of every network call, with a network that always predicts zero noise.
inline std::vector<double> network_calls(const SampleOptions& options) {
  std::vector<double> calls;
  const Predictor network = [&](const Tensor& x, double t) {
    calls.push_back(t);
    return Tensor::zeros(x.shape());
  };
  CountedNoise noise;
  sample(network, {Tensor::full({1, 1, 2, 1}, 1.0f)}, grid_of(options), std::ref(noise));
  return calls;
}

}  // namespace sumi::diffusion
