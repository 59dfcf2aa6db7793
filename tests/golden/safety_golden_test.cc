// The safety checker against the numbers of transformers and diffusers, on synthetic weights.
#include <gtest/gtest.h>

#include "engine/safety.h"
#include "image/png.h"
#include "io/checkpoint.h"
#include "ops/layout.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_safety.h"

namespace sumi {
namespace {

class SafetyVectors : public testing::Test {
 protected:
  void SetUp() override { golden_ = io::open_checkpoint(test::safety_data() / "tiny.safetensors"); }

  static Image picture(const std::string& name) { return image::read_png(test::safety_data() / (name + ".png")).image; }
  static std::vector<Image> pictures() { return {picture("0"), picture("1"), picture("2"), picture("3")}; }
  std::vector<float> floats(const std::string& name) const {
    const HostView<float> values(golden_->tensor(name));
    return {values.begin(), values.end()};
  }
  void expect_near(const Tensor& got, const std::string& name, double tolerance) const {
    const Tensor want = golden_->tensor(name);
    ASSERT_EQ(got.shape(), want.shape()) << name;
    const HostView<float> a(got), b(want);
    for (int64_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << name << " " << i;
  }

  std::unique_ptr<io::Checkpoint> golden_;
};

class SafetyGolden : public SafetyVectors, public testing::WithParamInterface<Device> {
 protected:
  test::TempFolder folder_;
};

TEST_F(SafetyVectors, PicturesArePreparedAlikeBitByBit) {
  std::vector<Image> squares;
  for (const Image& one : pictures()) squares.push_back(engine::safety_square(one, 32));
  EXPECT_TRUE(test::same_bytes(nhwc_to_nchw(engine::safety_pixels(squares)), golden_->tensor("pixel_values")));
  const Image large = engine::safety_square(picture("large"), 224);
  EXPECT_EQ(large.width, 224);
  EXPECT_EQ(large.height, 224);
  const Tensor want = nchw_to_nhwc(golden_->tensor("large_u8_224"));
  const HostView<uint8_t> bytes(want);
  EXPECT_TRUE(std::ranges::equal(large.pixels, bytes.span()));
  const Tensor rows = crop(engine::safety_pixels({large}), 100, 104, 0, 224);
  EXPECT_TRUE(test::same_bytes(nhwc_to_nchw(rows), golden_->tensor("large_pixel_rows_100_103")));
}

TEST_P(SafetyGolden, SeesAndJudgesAlike) {
  test::write_safety_folder(folder_ / "safety_checker");
  models::SafetyChecker checker(folder_.path(), GetParam());
  EXPECT_EQ(checker.side(), 32);
  const models::SafetyStates states = checker.look(nchw_to_nhwc(golden_->tensor("pixel_values")));
  for (const auto& [got, name] : {std::pair{&states.last_hidden, "last_hidden_state"},
                                  {&states.pooled, "pooled"},
                                  {&states.embeds, "image_embeds"}}) {
    const Tensor want = golden_->tensor(name);
    ASSERT_EQ(got->shape(), want.shape()) << name;
    EXPECT_LE(test::relative_l2(*got, want), 2e-5) << name;
  }
  expect_near(states.special_cos, "special_cos", 1e-5);
  expect_near(states.concept_cos, "concept_cos", 1e-5);
  checker.set_thresholds(floats("concept_embeds_weights"), floats("special_care_embeds_weights"));
  const std::vector<models::SafetyReport> reports = checker.judge(states);
  const std::vector<float> special = floats("special_scores"), concepts = floats("concept_scores");
  const Tensor want_flags = golden_->tensor("has_nsfw");
  const HostView<int64_t> flags(want_flags);
  ASSERT_EQ(reports.size(), 4u);
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(reports[n].flagged, flags[static_cast<int64_t>(n)] != 0) << n;
    ASSERT_EQ(reports[n].special.size(), 3u);
    ASSERT_EQ(reports[n].concepts.size(), 17u);
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(reports[n].special[i], special[3 * n + i], 1e-6) << n << " " << i;
    for (size_t i = 0; i < 17; ++i) EXPECT_NEAR(reports[n].concepts[i], concepts[17 * n + i], 1e-6) << n << " " << i;
  }
}

// Through pictures, with the reference's thresholds in the file: those flagged become black, the others stay.
TEST_P(SafetyGolden, BlackensWhatIsFlagged) {
  test::NamedTensors tensors = test::synthetic_safety();
  for (auto& [name, value] : tensors) {
    if (name.ends_with("_weights")) value = golden_->tensor(name);
  }
  test::write_safety_folder(folder_ / "with_thresholds", tensors);
  engine::SafetyCheckers checkers;
  const auto safety = checkers.open((folder_ / "with_thresholds").string(), GetParam());
  EXPECT_EQ(checkers.open((folder_ / "with_thresholds").string(), GetParam()), safety);
  const Tensor want_flags = golden_->tensor("has_nsfw");
  const HostView<int64_t> flags(want_flags);
  std::vector<Image> all = pictures();
  for (size_t n = 0; n < all.size(); ++n) {
    const Image before = all[n];
    const bool flagged = flags[static_cast<int64_t>(n)] != 0;
    EXPECT_EQ(safety->censor(all[n]), flagged) << n;
    EXPECT_EQ(all[n], flagged ? Image(before.width, before.height) : before) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, SafetyGolden, testing::Values(Device::kCpu, Device::kRef, Device::kGuard),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace sumi
