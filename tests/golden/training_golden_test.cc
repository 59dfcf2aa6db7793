// Three training steps of the UNet against those of the original implementation, through `sumi probe train-step`.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "io/checkpoint.h"
#include "ops/optimizer.h"
#include "tests/support/relative_l2.h"
#include "tests/support/run_program.h"
#include "tests/support/synthetic_models.h"
#include "tests/support/temp_folder.h"

namespace sumi {
namespace {

double norm(const Tensor& x) { return global_norm({x}); }

class TrainingGolden : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Backends, TrainingGolden, testing::Values("cpu", "ref", "guard"),
                         [](const auto& param) { return param.param; });

TEST_P(TrainingGolden, ThreeStepsEqualTheOriginal) {
  const std::string vectors = std::string(SUMI_TEST_DATA) + "/tiny_training.safetensors";
  const test::TempFolder folder;
  const std::string out = (folder.path() / "out.safetensors").string();
  const test::Outcome result =
      test::run_program({GetParam() == "guard" ? SUMI_GUARDED_BINARY : SUMI_BINARY, "probe", "train-step", "--ckpt",
                         test::synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml",
                         "--in", vectors, "--out", out, "--steps", "3", "--lr", "1e-4", "--backend", GetParam()});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto want = io::open_checkpoint(vectors), got = io::open_checkpoint(out);
  const double whole = want->tensor("gradnorm0").host<float>()[0];
  int compared = 0, vanishing = 0;
  std::map<std::string, double> worst;
  for (const io::TensorInfo& tensor : want->tensors()) {
    const std::string& name = tensor.name;
    const bool is_input = name.starts_with("z") || name.starts_with("noise") || name.starts_with("ctx") ||
                          (name.starts_with("t") && !name.starts_with("time"));
    if (is_input) continue;
    ASSERT_TRUE(got->has(name)) << name;
    const Tensor ours = got->tensor(name), theirs = want->tensor(name);
    ++compared;
    const size_t dot = name.find('.');
    if (dot != std::string::npos && norm(want->tensor("grad" + name.substr(dot))) < 1e-6 * whole) {
      // A bias before a GroupNorm with one channel per group has zero gradient: both engines have rounding error there,
      // which AdamW turns into steps of up to the learning rate.
      const double bound = name.starts_with("grad") ? 1e-6 * whole : 3 * 2e-4;
      const HostView<float> of_ours(ours), of_theirs(theirs);
      for (int64_t i = 0; i < ours.numel(); ++i) ASSERT_NEAR(of_ours[i], of_theirs[i], bound) << name;
      ++vanishing;
      continue;
    }
    const bool is_number = dot == std::string::npos;
    const double distance = test::relative_l2(ours, theirs);
    EXPECT_LE(distance, is_number ? 1e-5 : 1e-4) << name;
    double& largest = worst[name.substr(0, is_number ? name.find_first_of("0123456789") : dot)];
    largest = std::max(largest, distance);
  }
  EXPECT_LE(vanishing, 9);
  EXPECT_GE(compared, 100);
  for (const auto& [kind, distance] : worst) printf("%s: at most %.1e\n", kind.c_str(), distance);
}

}  // namespace
}  // namespace sumi
