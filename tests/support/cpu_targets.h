// Tests that run on every instruction set of this machine that kernels are compiled for.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hwy/targets.h"

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

}  // namespace sumi::test
