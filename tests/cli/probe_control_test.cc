// sumi probe with ControlNets.
#include "tests/cli/cli_fixture.h"
#include "tests/support/control_files.h"
#include "tests/support/relative_l2.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

class ProbeControlTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    io::write_safetensors(here() / "canny.safetensors", tiny_control());
    NamedTensors tensors;
    for (const std::string k : {"0", "1"}) {
      for (const auto& [ours, theirs] :
           {std::pair<std::string, std::string>{"x", "unet_x"}, {"t", "unet_t"}, {"hint", "hint"}})
        tensors.emplace_back(ours + k, golden_->tensor(theirs + k));
    }
    tensors.emplace_back("context", golden_->tensor("text_hidden"));
    io::write_safetensors(here() / "in.safetensors", tensors);
  }
  Outcome probe(const Words& more) const {
    return sumi(Words{"probe", "unet", "--ckpt", synthetic_model().string(), "--config",
                      std::string(SUMI_TEST_DATA) + "/tiny.yaml", "--in", "in.safetensors", "--out",
                      "out.safetensors"} +
                more);
  }
  void expect_like(const std::string& ending) const {
    const auto out = io::open_checkpoint(here() / "out.safetensors");
    for (const std::string k : {"0", "1"})
      EXPECT_LE(relative_l2(out->tensor("eps" + k), golden_->tensor("unet_eps" + k + ending)), 2e-5) << k << ending;
  }

  const std::unique_ptr<io::Checkpoint> golden_ =
      io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/tiny_controlnet_modules.safetensors");
};

TEST_F(ProbeControlTest, TheUNetFollowsAHintAsTheOriginals) {
  ASSERT_EQ(probe({"--control", "canny.safetensors"}).code, 0);
  expect_like("_1.0");
  ASSERT_EQ(probe({"--control", "canny.safetensors:0.6"}).code, 0);
  expect_like("_0.6");
  ASSERT_EQ(probe({"--control", "canny.safetensors", "--guess-mode"}).code, 0);
  expect_like("_soft");
  // Two of them add up.
  ASSERT_EQ(probe({"--control", "canny.safetensors:0.35", "--control", "canny.safetensors:0.25"}).code, 0);
  expect_like("_0.6");
  ASSERT_EQ(probe({}).code, 0);
  expect_like("_none");
}

TEST_F(ProbeControlTest, SaysWhatIsWrong) {
  const auto refusal = [&](const Words& more, int code) {
    const Outcome outcome = probe(more);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refusal({"--control", "canny.safetensors:much"}, 64), HasSubstr("takes FILE or FILE:WEIGHT"));
  EXPECT_THAT(refusal({"--control", "missing.pth:0.5"}, 66), HasSubstr("missing.pth"));
  EXPECT_THAT(refusal({"--control", "in.safetensors"}, 65), HasSubstr("is no ControlNet"));
  EXPECT_THAT(refusal({"--control", synthetic_model().string()}, 65), HasSubstr("a whole model without a ControlNet"));
}

}  // namespace
}  // namespace sumi::test
