// Processor time, in which tests bound what must not take long: seconds by the clock are longer on a busy machine.
#pragma once

#include <ctime>

namespace sumi::test {

// That all threads of this process have had so far.
inline double cpu_seconds() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace sumi::test
