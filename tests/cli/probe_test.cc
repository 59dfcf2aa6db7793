// sumi probe: single parts of the engine, through files.
#include "tests/cli/cli_fixture.h"
#include "tests/support/clip_vocabulary.h"

#include <nlohmann/json.hpp>

#include "io/safetensors.h"
#include "ops/elementwise.h"
#include "tests/support/relative_l2.h"

namespace sumi::test {
namespace {

class ProbeTest : public CliTest {
 protected:
  static Words engine() {
    return {"--ckpt", synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"};
  }

  void run(const Words& arguments) const {
    const Outcome outcome = sumi(Words{"probe"} + arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  std::shared_ptr<io::Checkpoint> read(const std::string& name) const { return io::open_checkpoint(here() / name); }
  void write(const std::string& name, const std::vector<std::pair<std::string, Tensor>>& tensors) const {
    io::write_safetensors(here() / name, tensors);
  }

  static double relative_error(const Tensor& got, const Tensor& want) {
    EXPECT_EQ(got.shape(), want.shape());
    return test::relative_l2(got, want);
  }
};

constexpr double kModules = 2e-5;  // float32 rounding between engines, relative L2

TEST_F(ProbeTest, NetworksEqualTheOriginals) {
  const auto golden = io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/tiny_modules.safetensors");
  write("in.safetensors", {{"text_ids", golden->tensor("text_ids")},
                           {"x0", golden->tensor("unet_x0")},
                           {"t0", golden->tensor("unet_t0")},
                           {"x1", golden->tensor("unet_x1")},
                           {"t1", golden->tensor("unet_t1")},
                           {"context", golden->tensor("text_hidden")},
                           {"z", golden->tensor("vae_z1")},
                           {"image", golden->tensor("vae_in1")}});
  const Words files{"--in", "in.safetensors", "--out", "out.safetensors"};
  run(Words{"text"} + files + engine());
  EXPECT_LE(relative_error(read("out.safetensors")->tensor("text_hidden"), golden->tensor("text_hidden")), kModules);
  run(Words{"unet"} + files + engine());
  EXPECT_LE(relative_error(read("out.safetensors")->tensor("eps0"), golden->tensor("unet_eps0")), kModules);
  EXPECT_LE(relative_error(read("out.safetensors")->tensor("eps1"), golden->tensor("unet_eps1")), kModules);
  run(Words{"vae-decode"} + files + engine());
  EXPECT_LE(relative_error(read("out.safetensors")->tensor("image"), golden->tensor("vae_image1")), kModules);
  run(Words{"vae-encode"} + files + engine());
  EXPECT_LE(relative_error(read("out.safetensors")->tensor("moments"), golden->tensor("vae_moments1")), kModules);
  run(Words{"unet", "--backend", "ref", "--threads", "2"} + files + engine());
  EXPECT_LE(relative_error(read("out.safetensors")->tensor("eps1"), golden->tensor("unet_eps1")), kModules);
  run(Words{"unet", "--dtype", "bf16"} + files + engine());
  const double rounded = relative_error(read("out.safetensors")->tensor("eps1"), golden->tensor("unet_eps1"));
  EXPECT_GT(rounded, kModules);
  EXPECT_LE(rounded, 2e-2);
}

// The numbers of the file's own tool (see tests/golden/adapters_golden_test.cc), each part with a weight of its own.
TEST_F(ProbeTest, AdaptersActOnTheNetworks) {
  const auto golden = io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/tiny_lora_formats.safetensors");
  write("in.safetensors", {{"text_ids", golden->tensor("text_ids")},
                           {"x", golden->tensor("unet_x")},
                           {"t", golden->tensor("unet_t")},
                           {"context", golden->tensor("base.text_hidden")}});
  const Words files{"--in", "in.safetensors", "--out", "out.safetensors"};
  const std::string lora = std::string(SUMI_TEST_DATA) + "/lora/lycoris_loha.safetensors";
  const auto expect = [&](const std::string& weights, const std::string& unet, const std::string& text) {
    run(Words{"unet", "--lora", lora + weights} + files + engine());
    EXPECT_LE(relative_error(read("out.safetensors")->tensor("eps"), golden->tensor(unet + ".unet_eps")), kModules);
    run(Words{"text", "--lora", lora + weights} + files + engine());
    EXPECT_LE(relative_error(read("out.safetensors")->tensor("text_hidden"), golden->tensor(text + ".text_hidden")),
              kModules);
  };
  expect(":0.8", "lycoris_loha", "lycoris_loha");
  expect(":unet=0.8,text=0", "lycoris_loha", "base");
  expect(":text=0.8,unet=0", "base", "lycoris_loha");
  for (const std::string wrong : {":unet=0.8,unet=0.1", ":vae=1", ":unet=x", ":unet=0.8,", ":"}) {
    const Outcome outcome = sumi(Words{"probe", "unet", "--lora", lora + wrong} + files + engine());
    EXPECT_EQ(outcome.code, 64) << wrong;
    EXPECT_THAT(outcome.err, testing::HasSubstr("FILE:unet=WEIGHT,text=WEIGHT")) << wrong;
  }
}

TEST_F(ProbeTest, AnAdapterFileIsDescribed) {
  const Outcome outcome = sumi({"inspect", std::string(SUMI_TEST_DATA) + "/lora/dora_out.safetensors"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::HasSubstr("DoRA (LoRA) (13 layers); 10 layers of the UNet, 3 of text encoders"));
  EXPECT_THAT(outcome.out, testing::HasSubstr("4 (13 layers); alpha 1, 2, 4"));
}

TEST_F(ProbeTest, ATrajectoryDrawsItsNoiseGivenOrNot) {
  const auto golden = io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/tiny_modules.safetensors");
  const Tensor hidden = golden->tensor("text_hidden");
  const Tensor cond = hidden.rows(0, 1).clone(), uncond = hidden.rows(1, 2).clone();
  write("drawn.safetensors", {{"cond", cond}, {"uncond", uncond}});
  run({"randn", "--seed", "5", "--count", "256", "--out", "noise.safetensors"});
  write(
      "given.safetensors",
      {{"cond", cond}, {"uncond", uncond}, {"x_T", read("noise.safetensors")->tensor("randn").reshape({1, 4, 8, 8})}});
  const Words line =
      Words{"sample", "--sampler", "ddim", "--schedule",   "uniform", "--steps", "5",  "--eta",    "0.7", "--scale",
            "3",      "--seed",    "5",    "--prediction", "eps",     "--width", "64", "--height", "64"} +
      engine();
  run(line + Words{"--in", "drawn.safetensors", "--out", "a.safetensors"});
  run(line + Words{"--in", "given.safetensors", "--out", "b.safetensors"});
  EXPECT_EQ(read_bytes(here() / "a.safetensors"), read_bytes(here() / "b.safetensors"));
  EXPECT_EQ(read("a.safetensors")->tensor("latent").shape(), (Shape{1, 4, 8, 8}));
  const Words other{"sample", "--sampler", "ddim", "--steps", "5", "--scale", "3", "--seed", "5", "--prediction", "v"};
  run(other + engine() + Words{"--in", "given.safetensors", "--out", "c.safetensors"});
  EXPECT_NE(read_bytes(here() / "a.safetensors"), read_bytes(here() / "c.safetensors"));
}

TEST_F(ProbeTest, RandomNumbersEqualPyTorchs) {
  const auto golden = io::open_checkpoint(std::string(SUMI_TEST_DATA) + "/torch_cpu_rng.safetensors");
  run({"randn", "--seed", "1234567890123", "--count", "1000", "--out", "out.safetensors"});
  const Tensor got = read("out.safetensors")->tensor("randn"), want = golden->tensor("randn_s1234567890123_n1000");
  ASSERT_EQ(got.shape(), want.shape());
  const HostView<float> of_got(got), of_want(want);
  for (int64_t i = 0; i < want.numel(); ++i) EXPECT_NEAR(of_got[i], of_want[i], 1e-6);
}

TEST_F(ProbeTest, TokensEqualTheReference) {
  const auto vocabulary = clip_vocabulary();
  if (!vocabulary) GTEST_SKIP() << kNoClipVocabulary;
  const auto golden = nlohmann::json::parse(read_bytes(std::string(SUMI_TEST_DATA) + "/clip_tokens.json"));
  nlohmann::json prompts = nlohmann::json::array();
  for (const auto& entry : golden) prompts.push_back(entry["prompt"]);
  write_file(here() / "in.json", prompts.dump());
  run({"tokens", "--tokenizer", vocabulary->string(), "--in", "in.json", "--out", "out.json"});
  EXPECT_EQ(nlohmann::json::parse(read_bytes(here() / "out.json")), golden);
}

TEST_F(ProbeTest, WrongInputsAreRefusedInASentence) {
  write("in.safetensors", {{"x", Tensor::zeros({1, 4, 8, 8})},
                           {"t", Tensor::zeros({3})},
                           {"z", Tensor::zeros({4, 8})},
                           {"text_ids", Tensor::zeros({1, 77})},
                           {"cond", Tensor::zeros({1, 77, 64})}});
  const auto refused = [&](const Words& arguments, int code, const std::string& part) {
    const Outcome outcome =
        sumi(Words{"probe"} + arguments + Words{"--in", "in.safetensors", "--out", "out.safetensors"} + engine());
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr(part));
    EXPECT_FALSE(fs::exists(here() / "out.safetensors"));
  };
  refused({"text"}, 65, "i64");
  refused({"unet"}, 65, "3 numbers where 1 are needed");
  refused({"vae-decode"}, 65, "4 dimensions");
  refused({"vae-encode"}, 65, "no tensor \"image\"");
  refused({"sample"}, 65, "uncond");
  refused({"sample", "--seed", "-1"}, 64, "seed");
  refused({"sample", "--steps", "0"}, 64, "--steps");
  EXPECT_EQ(sumi({"probe", "randn", "--count", "0", "--out", "x.safetensors"}).code, 64);
  EXPECT_EQ(sumi({"probe", "randn", "--count", "5", "--out", "absent/x.safetensors"}).code, 64);
  write_file(here() / "in.json", "{}");
  EXPECT_EQ(
      sumi(Words{"probe", "tokens", "--in", "in.json", "--out", "o.json", "--tokenizer", byte_tokenizer().string()})
          .code,
      65);
}

}  // namespace
}  // namespace sumi::test
