// The same picture for any number of threads and any form of the checkpoint. F23 of the bad-input list.
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

class SameBytesTest : public CliTest {
 protected:
  static Words job(const std::string& out) {
    return {"a cat",    "-o",  out,       "--seed", "3",         "--width",        "64",
            "--height", "128", "--steps", "4",      "--sampler", "euler_ancestral"};
  }
};

TEST_F(SameBytesTest, ForEveryNumberOfThreads) {
  std::string first;
  for (const char* threads : {"1", "2", "3", "7"}) {
    const Outcome outcome = sumi(job("a.png") + Words{"--threads", threads} + model());
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const std::string bytes = read_bytes(here() / "a.png");
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first) << threads << " threads";
  }
}

TEST_F(SameBytesTest, ForEveryFormOfTheCheckpoint) {
  using tools::CheckpointFormat;
  std::optional<image::Image> first;
  const std::pair<CheckpointFormat, const char*> forms[] = {{CheckpointFormat::kSafetensors, "model.safetensors"},
                                                            {CheckpointFormat::kTorch, "model.ckpt"},
                                                            {CheckpointFormat::kDiffusers, "model"}};
  for (const auto& [format, name] : forms) {
    fs::create_symlink(synthetic_model({.format = format}), here() / name);  // pictures carry the model's name
    const Words given = format == CheckpointFormat::kDiffusers ? Words{"--ckpt", name} : model_at(name);
    const Outcome outcome = sumi(job("a.png") + given);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const image::Image drawn = image::read_png(here() / "a.png").image;
    if (!first) first = drawn;
    EXPECT_EQ(drawn, *first) << name;
  }
}

TEST_F(SameBytesTest, HalfPrecisionFilesAndRoundedWeightsAreOne) {
  fs::create_symlink(synthetic_model({.dtype = DType::kF16}), here() / "model.safetensors");
  ASSERT_EQ(sumi(job("a.png") + model_at("model.safetensors")).code, 0);
  fs::remove(here() / "model.safetensors");
  fs::create_symlink(synthetic_model(), here() / "model.safetensors");
  ASSERT_EQ(sumi(job("b.png") + model_at("model.safetensors") + Words{"--dtype", "f16"}).code, 0);
  ASSERT_EQ(sumi(job("c.png") + model_at("model.safetensors")).code, 0);
  const auto picture = [&](const std::string& name) { return image::read_png(here() / name).image; };
  EXPECT_EQ(picture("a.png"), picture("b.png"));
  EXPECT_NE(picture("a.png"), picture("c.png"));
}

TEST_F(SameBytesTest, TheNextBatchDependsOnTheSamplerBefore) {
  const Words line = Words{"txt2img", "--n_samples", "1", "--n_iter", "2", "--skip_grid"} + small() + model();
  ASSERT_EQ(sumi(line + Words{"--outdir", "a"}).code, 0);
  ASSERT_EQ(sumi(line + Words{"--outdir", "b", "--fixed_code"}).code, 0);
  const auto picture = [&](const std::string& name) { return image::read_png(here() / name).image; };
  EXPECT_EQ(picture("a/samples/00000.png"), picture("b/samples/00000.png"));
  EXPECT_NE(picture("a/samples/00001.png"), picture("a/samples/00000.png"));
  EXPECT_EQ(picture("b/samples/00001.png"), picture("b/samples/00000.png"));  // eta 0: the noise drawn is not used
}

}  // namespace
}  // namespace sumi::test
