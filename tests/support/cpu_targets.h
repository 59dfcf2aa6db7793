// Tests that run on every instruction set of this machine that kernels are compiled for.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "core/context.h"
#include "core/tensor.h"
#include "hwy/targets.h"
#include "tests/support/relative_l2.h"

namespace sumi::test {

class OnEveryTarget : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  void TearDown() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

inline std::vector<int64_t> machine_targets() {
  std::vector<int64_t> targets;
  for (int64_t bits = hwy::SupportedTargets(); bits != 0; bits &= bits - 1) {
    const int64_t target = bits & -bits;
    if (target == HWY_AVX2 || target == HWY_AVX3 || target == HWY_SSSE3 || target == HWY_NEON)
      targets.push_back(target);
  }
  return targets;
}

inline std::string target_name(const testing::TestParamInfo<int64_t>& param) { return hwy::TargetName(param.param); }

// `run` gives the same bytes with 1, 2, 3 and 7 threads, of the process's pool or of a context's own.
inline void expect_same_bytes_with_any_threads(const std::function<std::vector<Tensor>()>& run) {
  const int before = num_threads();
  std::vector<Tensor> first;
  const auto compare = [&](const char* pool, int threads) {
    const std::vector<Tensor> out = run();
    if (first.empty()) first = out;
    ASSERT_EQ(out.size(), first.size());
    for (size_t i = 0; i < out.size(); ++i)
      EXPECT_TRUE(same_bytes(out[i], first[i])) << i << " with " << threads << " threads of " << pool;
  };
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    compare("the process", threads);
  }
  set_num_threads(before);
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    const PoolScope scope(&pool);
    compare("a scope", threads);
  }
}

}  // namespace sumi::test
