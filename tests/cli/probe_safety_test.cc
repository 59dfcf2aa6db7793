// sumi probe safety: the reference's inputs through files, in each form.
#include "tests/cli/cli_fixture.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_safety.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

class ProbeSafetyTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    write_safety_folder(here() / "checker");
    golden_ = io::open_checkpoint(safety_data() / "tiny.safetensors");
  }

  void run(const Words& arguments) const {
    const Outcome outcome =
        sumi(Words{"probe", "safety", "--checker", "checker", "--out", "out.safetensors"} + arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  std::string refused(const Words& arguments, int code) const {
    const Outcome outcome = sumi(Words{"probe", "safety", "--out", "out.safetensors"} + arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    return outcome.err;
  }
  static std::string data(const std::string& name) { return (safety_data() / name).string(); }

  // `same`: bit by bit.
  void expect_outputs(const std::vector<std::string>& same) const {
    const auto out = io::open_checkpoint(here() / "out.safetensors");
    for (const std::string& name : same) EXPECT_TRUE(same_bytes(out->tensor(name), golden_->tensor(name))) << name;
    for (const char* name : {"last_hidden_state", "pooled", "image_embeds", "special_cos", "concept_cos",
                             "special_scores", "concept_scores"}) {
      ASSERT_EQ(out->tensor(name).shape(), golden_->tensor(name).shape()) << name;
      EXPECT_LE(relative_l2(out->tensor(name), golden_->tensor(name)), 2e-5) << name;
    }
  }

  std::unique_ptr<io::Checkpoint> golden_;
};

TEST_F(ProbeSafetyTest, EqualsTheOriginal) {
  run({"--in", data("tiny.safetensors")});
  expect_outputs({"has_nsfw", "pixel_values"});
  run({"--in", data("tiny.safetensors"), "--picture", data("0.png"), "--picture", data("1.png"), "--picture",
       data("2.png"), "--picture", data("3.png"), "--large", data("large.png")});
  expect_outputs({"has_nsfw", "pixel_values", "large_u8_224", "large_pixel_rows_100_103"});
  run({"--large", data("large.png")});
  EXPECT_TRUE(same_bytes(io::open_checkpoint(here() / "out.safetensors")->tensor("large_u8_224"),
                         golden_->tensor("large_u8_224")));
  run({"--picture", data("3.png")});  // by the file's own thresholds
  EXPECT_EQ(io::open_checkpoint(here() / "out.safetensors")->tensor("has_nsfw").shape(), (Shape{1}));
}

TEST_F(ProbeSafetyTest, SaysWhatIsWrong) {
  EXPECT_THAT(refused({"--checker", "checker"}, 64), HasSubstr("--picture"));
  EXPECT_THAT(refused({"--checker", "nowhere", "--picture", data("0.png")}, 66), HasSubstr("nowhere"));
  EXPECT_THAT(refused({"--checker", data("0.png"), "--picture", data("0.png")}, 65), HasSubstr("0.png"));
  EXPECT_THAT(refused({"--checker", "checker", "--picture", data("tiny.safetensors")}, 65), HasSubstr("tiny"));
  io::write_safetensors(here() / "small.safetensors", {{"pixel_values", Tensor::zeros({1, 3, 31, 32})}});
  EXPECT_THAT(refused({"--checker", "checker", "--in", "small.safetensors"}, 65), HasSubstr("[N,3,32,32]"));
  io::write_safetensors(here() / "few.safetensors", {{"pixel_values", Tensor::zeros({1, 3, 32, 32})},
                                                     {"concept_embeds_weights", Tensor::zeros({16})}});
  EXPECT_THAT(refused({"--checker", "checker", "--in", "few.safetensors"}, 65), HasSubstr("concept_embeds_weights"));
}

}  // namespace
}  // namespace sumi::test
