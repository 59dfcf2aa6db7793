// Timing in turns, for the side-by-side benches.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "engine/bench.h"

namespace sumi::bench {

struct Contender {
  std::string name;
  std::function<void()> run;
};

// Median seconds of each, run in turns so that a slow moment of the machine hits all.
inline std::vector<double> in_turns(const std::vector<Contender>& contenders, int turns = 7) {
  std::vector<std::vector<double>> times(contenders.size());
  for (int turn = 0; turn < turns; ++turn) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      // OpenBLAS's threads spin for some 20 ms after their work, on the cores that the next one needs.
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      // Then wakes the cores: a sleeping virtual core may take milliseconds.
      using Clock = std::chrono::steady_clock;
      for (const auto wake = Clock::now(); Clock::now() - wake < std::chrono::milliseconds(30);) contenders[i].run();
      const auto begin = Clock::now();
      contenders[i].run();
      times[i].push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
  }
  std::vector<double> medians;
  medians.reserve(times.size());
  for (const std::vector<double>& t : times) medians.push_back(engine::median(t));
  return medians;
}

// A line's figures: GFLOP/s and share of the peak of each, the one that sumi chooses marked; then distance and peak.
inline void print_figures(const std::vector<double>& seconds, double gflop, double peak, size_t chosen,
                          const std::string& distance) {
  for (size_t i = 0; i < seconds.size(); ++i)
    fmt::print(" {:>7.1f} {:>5.2f}{}", gflop / seconds[i], gflop / seconds[i] / peak, i == chosen ? "*" : " ");
  fmt::print(" {:>8} {:>7.1f}\n", distance, peak);
}

}  // namespace sumi::bench
