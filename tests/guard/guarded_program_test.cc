// The whole program on the guard device, whose memory only kernels and copies can access; any other access is a
// segmentation fault. It runs the cpu backend's kernels, so results must be bit-identical.
#include "io/checkpoint.h"
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

class GuardedProgram : public CliTest {
 protected:
  // The same arguments on both devices; each writes to `out` prefixed with the device's name.
  void run_both(Words words, const std::string& option, const std::string& out) {
    for (const std::string device : {"cpu", "guard"}) {
      const char* program = device == "guard" ? SUMI_GUARDED_BINARY : SUMI_BINARY;
      const Outcome outcome =
          run_program(Words{program} + words + Words{"--backend", device, option, (here() / (device + out)).string()},
                      isolated({}));
      ASSERT_EQ(outcome.code, 0) << device << ": " << outcome.err;
    }
  }

  // `train ldm` on here()/data, less the program and its --out, which run_both adds.
  Words train() const {
    Words words = train_ldm(here() / "data", "");
    words.erase(words.begin());
    const auto out = std::find(words.begin(), words.end(), "--out");
    words.erase(out, out + 2);
    return words;
  }

  void expect_equal_pictures(const std::string& file) const {
    const image::Image cpu = image::read_png(here() / ("cpu" + file)).image;
    const image::Image guard = image::read_png(here() / ("guard" + file)).image;
    EXPECT_EQ(cpu.width, guard.width);
    EXPECT_TRUE(cpu.pixels == guard.pixels) << file;
  }

  void expect_equal_tensors(const std::string& file) const {
    const auto cpu = io::open_checkpoint(here() / ("cpu" + file)),
               guard = io::open_checkpoint(here() / ("guard" + file));
    ASSERT_EQ(cpu->tensors().size(), guard->tensors().size());
    for (const io::TensorInfo& info : cpu->tensors()) {
      const Tensor a = cpu->tensor(info.name), b = guard->tensor(info.name);
      const HostView<std::byte> x(a), y(b);
      EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << info.name;
    }
  }
};

TEST_F(GuardedProgram, TextToImage) {
  run_both(Words{"a photograph of an astronaut", "--seed", "7", "--sampler", "ddim", "--steps", "3", "--H", "64", "--W",
                 "64"} +
               model(),
           "-o", "plain.png");
  expect_equal_pictures("plain.png");
}

TEST_F(GuardedProgram, WeightedPromptsStochasticSamplersAndTiles) {
  run_both(Words{"a (red:1.3) [apple] BREAK on a table", "--negative-prompt", "blurred", "--seed", "8", "--sampler",
                 "euler_ancestral", "--steps", "3", "--H", "128", "--W", "96", "--vae-tiling"} +
               model(),
           "-o", "tiled.png");
  expect_equal_pictures("tiled.png");
}

TEST_F(GuardedProgram, WeightsOfEveryTypeAndExactConvolutions) {
  for (const std::string type : {"f16", "bf16", "q8_0", "q4_0"}) {
    run_both(Words{"a tree", "--seed", "9", "--dtype", type, "--exact"} + small() + model(), "-o", type + ".png");
    expect_equal_pictures(type + ".png");
  }
}

TEST_F(GuardedProgram, ThreeTrainingStepsAndTheModelTheyMake) {
  write_pictures(here() / "data", 4, 64, 64);
  run_both(train() + Words{"--steps", "3", "--batch", "2", "--train-text", "--ema", "0.9"}, "--out", "ldm");
  expect_equal_tensors("ldm/model.safetensors");
}

TEST_F(GuardedProgram, ALoraIsTrainedAndDrawnWith) {
  write_pictures(here() / "data", 4, 64, 64);
  run_both(train() + Words{"--steps", "3", "--lora", "2", "--lr", "1e-2", "--ema", "0", "--checkpointing"}, "--out",
           "lora");
  expect_equal_tensors("lora/lora.safetensors");
  run_both(Words{"a picture", "--seed", "3", "--lora", (here() / "cpulora/lora.safetensors").string() + ":0.8"} +
               small() + model(),
           "-o", "drawn.png");
  expect_equal_pictures("drawn.png");
}

TEST_F(GuardedProgram, AnAutoencoderIsTrainedWithItsDiscriminator) {
  write_pictures(here() / "data", 4, 48, 40);
  write_file(here() / "small.yaml", small_autoencoder_yaml(1, "[16]"));
  run_both(Words{"train", "autoencoder", "--data", (here() / "data").string(), "--batch", "2", "--config",
                 (here() / "small.yaml").string(), "--crop", "32", "--steps", "3", "--ema", "0.9"},
           "--out", "kl");
  expect_equal_tensors("kl/autoencoder.safetensors");
}

}  // namespace
}  // namespace sumi::test
