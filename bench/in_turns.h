// What the side-by-side benches share: timing in turns.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/bench.h"

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
      // OpenBLAS's threads spin for some 20 ms after their work: on the cores that the next one needs.
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      // Then wakes the cores: a virtual one that slept may take milliseconds.
      using Clock = std::chrono::steady_clock;
      for (const auto wake = Clock::now(); Clock::now() - wake < std::chrono::milliseconds(30);) contenders[i].run();
      const auto begin = Clock::now();
      contenders[i].run();
      times[i].push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
  }
  std::vector<double> medians;
  medians.reserve(times.size());
  for (const std::vector<double>& t : times) medians.push_back(pipeline::median(t));
  return medians;
}

}  // namespace sumi::bench
