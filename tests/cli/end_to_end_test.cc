// Prompt to picture against the original script's own pictures, through the command line.
#include "tests/cli/cli_fixture.h"
#include "tests/support/clip_vocabulary.h"

namespace sumi::test {
namespace {

class EndToEndTest : public CliTest {
 protected:
  void SetUp() override {
    if (!vocabulary_) GTEST_SKIP() << kNoClipVocabulary;
  }

  Words model() const {
    return {"--ckpt",      synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml",
            "--tokenizer", vocabulary_->string()};
  }

  std::optional<fs::path> vocabulary_ = clip_vocabulary();
  static constexpr const char* kPrompt = "a photograph of an astronaut riding a horse";
};

TEST_F(EndToEndTest, DdimBatchOfTwo) {
  const Outcome outcome =
      sumi(Words{"txt2img", "--prompt", kPrompt, "--n_samples", "2", "--n_iter", "1", "--ddim_steps", "20", "--H",
                 "128", "--W", "128", "--outdir", "o", "--precision", "full"} +
           model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_like_reference(here() / "o/samples/00000.png", "e2e_tiny_ddim_s42_0.png");
  expect_like_reference(here() / "o/samples/00001.png", "e2e_tiny_ddim_s42_1.png");
}

TEST_F(EndToEndTest, PlmsOfAnotherShape) {
  const Outcome outcome = sumi(Words{"txt2img", "--prompt", kPrompt, "--plms", "--n_samples", "1", "--n_iter", "1",
                                     "--ddim_steps", "20", "--H", "128", "--W", "192", "--outdir", "o"} +
                               model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_like_reference(here() / "o/samples/00000.png", "e2e_tiny_plms_s42_0.png");
}

// The original's well-known command line, with fewer and smaller pictures.
TEST_F(EndToEndTest, TheLinePeopleKnow) {
  fs::create_symlink(synthetic_model(), here() / "sd-v1-4.ckpt");
  const Outcome outcome = sumi(Words{"txt2img",      "--prompt",
                                     kPrompt,        "--plms",
                                     "--outdir",     "outputs",
                                     "--ckpt",       "sd-v1-4.ckpt",
                                     "--n_samples",  "4",
                                     "--ddim_steps", "50",
                                     "--cfg_scale",  "7.5",
                                     "--config",     std::string(SUMI_TEST_DATA) + "/tiny.yaml",
                                     "--tokenizer",  vocabulary_->string(),
                                     "--H",          "64",
                                     "--W",          "64"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(names_in(here() / "outputs/samples").size(), 8u);
  EXPECT_EQ(image::read_png(here() / "outputs/grid-0000.png").image.width, 2 + 4 * 66);
}

}  // namespace
}  // namespace sumi::test
