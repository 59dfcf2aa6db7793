// Processor time, for upper bounds in tests: wall-clock time is longer on a busy machine.
#pragma once

#include <ctime>

namespace sumi::test {

// The processor time of all threads of this process so far.
inline double cpu_seconds() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace sumi::test
