#include "base/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>

#include "base/check.h"

namespace sumi {
namespace {

// With little address space: a thousand threads are refused, and two work.
[[noreturn]] void ask_for_too_many_threads() {
  alarm(600);  // only ends a hang
  const rlimit little{rlim_t{512} << 20, rlim_t{512} << 20};
  setrlimit(RLIMIT_AS, &little);
  try {
    set_num_threads(1024);
    _exit(1);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUnavailable) _exit(2);
  }
  set_num_threads(2);
  std::atomic<int> done{0};
  parallel_for(100, [&](int64_t) { ++done; });
  _exit(num_threads() == 2 && done == 100 ? 0 : 3);
}

TEST(Parallel, FewerThreadsWorkAfterTooMany) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve more address space than any limit";
#endif
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(ask_for_too_many_threads(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sumi
