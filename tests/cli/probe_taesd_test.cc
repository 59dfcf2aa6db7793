// sumi probe vae-decode and vae-encode with a tiny autoencoder, with and without a model.
#include "tests/cli/cli_fixture.h"

#include "io/safetensors.h"
#include "ops/elementwise.h"
#include "tests/support/relative_l2.h"
#include "tests/support/taesd_files.h"

namespace sumi::test {
namespace {

class ProbeTaesd : public CliTest {
 protected:
  ProbeTaesd() {
    for (const std::string half : {"decoder", "encoder"})
      io::write_safetensors(here() / ("taesd_" + half + ".safetensors"), tiny_autoencoder(half));
  }

  // The probe's outputs, for these inputs.
  std::unique_ptr<io::Checkpoint> probe(const std::string& which, const std::filesystem::path& in,
                                        const Words& model) const {
    const Outcome outcome = sumi(Words{"probe", which, "--in", in.string(), "--out", "out.safetensors"} + model);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return io::open_checkpoint(here() / "out.safetensors");
  }
  void expect_close(const io::Checkpoint& out, const std::string& name) const {
    EXPECT_LE(relative_l2(out.tensor(name), golden_->tensor(name)), kTolerance) << name;
  }

  static constexpr double kTolerance = 2e-6;  // float32 rounding between engines, relative L2
  const std::filesystem::path vectors_ = std::string(SUMI_TEST_DATA) + "/taesd/tiny.safetensors";
  const std::unique_ptr<io::Checkpoint> golden_ = io::open_checkpoint(vectors_);
};

TEST_F(ProbeTaesd, EqualsTheOriginalWithAndWithoutAModel) {
  const Words alone{"--vae", "taesd_decoder.safetensors"};
  const Words with_model =
      alone + Words{"--ckpt", synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"};
  for (const Words& model : {alone, with_model}) {
    const auto decoded = probe("vae-decode", vectors_, model);
    expect_close(*decoded, "image0");
    expect_close(*decoded, "image1");
    expect_close(*probe("vae-encode", vectors_, model), "latent1");
  }
}

TEST_F(ProbeTaesd, EqualsDiffusers) {
  write_tiny_folder(here() / "vae");
  const Words model{"--vae", "vae"};
  expect_close(*probe("vae-decode", vectors_, model), "diffusers_image0");
  expect_close(*probe("vae-encode", vectors_, model), "diffusers_latent0");
}

TEST_F(ProbeTaesd, PicturesMayBeAroundZero) {
  const Tensor around_zero = affine(2.0f, golden_->tensor("in0"), 0.0f, {}, -1.0f);
  io::write_safetensors(here() / "in.safetensors", NamedTensors{{"image0", around_zero}});
  expect_close(*probe("vae-encode", "in.safetensors", {"--vae", "taesd_decoder.safetensors"}), "latent0");
}

TEST_F(ProbeTaesd, AMissingHalfIsNamed) {
  std::filesystem::remove(here() / "taesd_encoder.safetensors");
  const Outcome outcome = sumi({"probe", "vae-encode", "--in", vectors_.string(), "--out", "out.safetensors", "--vae",
                                "taesd_decoder.safetensors"});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, testing::HasSubstr("put taesd_encoder beside the file of --vae"));
}

}  // namespace
}  // namespace sumi::test
