// Upscaling models against the numbers of the original implementation, on synthetic weights.
#include <gtest/gtest.h>

#include "models/upscaler/upscaler.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tests/support/upscaler_files.h"

namespace sumi {
namespace {

struct Case {
  std::string kind;
  int64_t scale;
  Device device;
  bool pth;  // else safetensors
};

class UpscalerGolden : public testing::TestWithParam<Case> {};

TEST_P(UpscalerGolden, EqualsTheOriginal) {
  const Case& c = GetParam();
  const test::TempFolder folder;
  const std::filesystem::path file = folder / (c.pth ? "model.pth" : "model.safetensors");
  const test::NamedTensors weights = test::tiny_upscaler(c.kind);
  if (c.pth) {
    test::write_pth(file, weights, c.kind == "old" ? "" : "params_ema");
  } else {
    io::write_safetensors(file, weights);
  }
  const auto upscaler = models::Upscaler::open(file, {.device = c.device});
  EXPECT_EQ(upscaler.scale(), c.scale);
  const auto golden = io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/upscaler/tiny.safetensors");
  for (const std::string k : {"0", "1"}) {
    const Tensor x = nchw_to_nhwc(golden->tensor(c.kind + "_in" + k)), want = golden->tensor(c.kind + "_out" + k);
    const Tensor got = nhwc_to_nchw(upscaler(x.to(c.device)));
    ASSERT_EQ(got.shape(), want.shape());
    EXPECT_LT(test::relative_l2(got, want), 2e-6) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, UpscalerGolden,
                         testing::Values(Case{"x4", 4, Device::kCpu, true}, Case{"x4", 4, Device::kRef, false},
                                         Case{"x4", 4, Device::kGuard, false}, Case{"x2", 2, Device::kCpu, true},
                                         Case{"x2", 2, Device::kGuard, false}, Case{"old", 4, Device::kCpu, true},
                                         Case{"old", 4, Device::kCpu, false}),
                         [](const testing::TestParamInfo<Case>& test) {
                           return test.param.kind + "_" + std::string(name_of(test.param.device)) +
                                  (test.param.pth ? "_pth" : "_safetensors");
                         });

}  // namespace
}  // namespace sumi
