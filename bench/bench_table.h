// What the side-by-side benches share: timing in turns, and a table with shares of the machine's peak.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/tensor.h"
#include "ops/machine_peak.h"

namespace sumi::bench {

// Smooth values of about unit size.
inline Tensor waves(const Shape& shape, double pitch = 0.7, float size = 1.4f) {
  Tensor out = Tensor::empty(shape);
  int64_t i = 0;
  for (float& value : out.span<float>()) value = size * static_cast<float>(std::sin(pitch * static_cast<double>(i++)));
  return out;
}

struct Contender {
  std::string name;
  std::function<void()> run;
};

// Median seconds of each, run in turns so that a slow moment of the machine hits all; one turn warms up.
inline std::vector<double> in_turns(const std::vector<Contender>& contenders, int turns = 7) {
  std::vector<std::vector<double>> times(contenders.size());
  for (int turn = -1; turn < turns; ++turn) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      // OpenBLAS's threads spin for some 20 ms after their work: on the cores that the next one needs.
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      // Then wakes the cores: a virtual one that slept may take milliseconds.
      using Clock = std::chrono::steady_clock;
      for (const auto wake = Clock::now(); Clock::now() - wake < std::chrono::milliseconds(30);) contenders[i].run();
      const auto begin = Clock::now();
      contenders[i].run();
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      if (turn >= 0) times[i].push_back(seconds);
    }
  }
  std::vector<double> medians;
  for (auto& t : times) {
    std::nth_element(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(t.size() / 2), t.end());
    medians.push_back(t[t.size() / 2]);
  }
  return medians;
}

// Relative L2 distance of two results, so that nobody wins by computing something else.
inline double distance(const Tensor& a, const Tensor& b) {
  double difference = 0.0, norm = 0.0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    difference += std::pow(double{a.data<float>()[i]} - b.data<float>()[i], 2);
    norm += std::pow(double{b.data<float>()[i]}, 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

}  // namespace sumi::bench
