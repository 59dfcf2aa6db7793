// The command line: help, lists and rejected arguments. Bad-input items 134 to 143 and 148.
#include "tests/cli/cli_fixture.h"

#include <nlohmann/json.hpp>

#include "io/safetensors.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

TEST_F(CliTest, NothingGivesUsage) {  // item 134
  const Outcome outcome = sumi({});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_THAT(outcome.err, HasSubstr("sumi COMMAND"));
  EXPECT_EQ(outcome.out, "");
}

TEST_F(CliTest, HelpListsEveryCommand) {
  const Outcome outcome = sumi({"--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* name :
       {"txt2img", "probe text", "probe unet", "probe vae-decode", "probe vae-encode", "probe sample", "probe tokens",
        "probe randn", "inspect", "list samplers", "list schedules", "list families", "list backends", "pull"}) {
    EXPECT_THAT(outcome.out, HasSubstr(std::string("  ") + name)) << name;
  }
}

TEST_F(CliTest, EveryCommandHasHelp) {
  const std::vector<Words> commands{{"txt2img"},         {"inspect"},          {"pull"}, {"probe", "unet"},
                                    {"probe", "sample"}, {"list", "samplers"}, {""}};
  for (const Words& words : commands) {
    const Outcome outcome = sumi(words + Words{"--help"});
    EXPECT_EQ(outcome.code, 0) << words[0];
    EXPECT_THAT(outcome.out, HasSubstr("--help")) << words[0];
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(CliTest, Version) {
  const Outcome outcome = sumi({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, testing::MatchesRegex("sumi [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(CliTest, ListsWhatIsRegistered) {
  const Outcome samplers = sumi({"list", "samplers"});
  for (const char* name :
       {"ddim", "plms", "ddpm", "dpm_solver", "euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms",
        "dpmpp_2s_ancestral", "dpmpp_2m", "dpmpp_sde", "dpmpp_2m_sde", "unipc", "lcm"}) {
    EXPECT_THAT("\n" + samplers.out, HasSubstr(std::string("\n") + name + " ")) << name;
  }
  const Outcome schedules = sumi({"list", "schedules"});
  for (const char* name : {"uniform", "discrete", "leading", "trailing", "linspace", "karras", "exponential"}) {
    EXPECT_THAT("\n" + schedules.out, HasSubstr(std::string("\n") + name + " ")) << name;
  }
  EXPECT_THAT(sumi({"list", "families"}).out, HasSubstr("sd1 "));
  EXPECT_THAT(sumi({"list", "backends"}).out, HasSubstr("cpu "));
  EXPECT_THAT(sumi({"list", "backends"}).out, HasSubstr("ref "));
  const auto json = nlohmann::json::parse(sumi({"list", "samplers", "--json"}).out);
  EXPECT_GE(json.size(), 16u);
  expect_refused({"list"}, 64, "samplers");
  expect_refused({"list", "songs"}, 64, "samplers");
  expect_refused({"probe", "--help", "x"}, 64, "vae-decode");
}

TEST_F(CliTest, FindsAPulledCheckpointAndNoLora) {
  const fs::path models = here() / "home" / "models";
  for (const char* name : {"owner--model", "owner--lora", "loras"}) fs::create_directories(models / name);
  fs::copy_file(synthetic_model(), models / "owner--model" / "v1.safetensors");
  io::write_safetensors(models / "owner--lora" / "lora.safetensors", {{"lora_unet_x.alpha", Tensor::full({1}, 1.0f)}});
  fs::copy_file(synthetic_model(), models / "loras" / "style.safetensors");
  const Outcome outcome = sumi({"list", "models"}, {.environment = {{"SUMI_HOME", (here() / "home").string()}}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("owner--model/v1.safetensors"));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("lora")));
}

TEST_F(CliTest, UnknownOptionNamesTheNearest) {  // item 135
  expect_refused({"txt2img", "--sacle", "7"}, 64, "did you mean --scale?");
  expect_refused({"txt2img", "--no-such-thing"}, 64, "unknown option --no-such-thing");
  expect_refused({"a cat", "--out", "x.png", "--bogus"}, 64, "unknown option");
}

TEST_F(CliTest, TheOriginalsOptionsAreOfTxt2Img) {
  expect_refused({"a cat", "--plms"}, 64, "--plms is an option of sumi txt2img");
  expect_refused({"--prompt", "a cat"}, 64, "--prompt is an option of sumi txt2img");
  expect_refused({"a cat", "--n_samples", "4"}, 64, "--n-samples is an option of sumi txt2img");
  expect_refused({"a cat", "--C", "4"}, 64, "--C is an option of sumi txt2img");
}

TEST_F(CliTest, MistypedCommandsAreNoPrompts) {
  expect_refused({"img2img", "--prompt", "a cat"}, 64, "img2img begins from a picture: --init-img FILE");
  expect_refused({"inspct", "x.ckpt"}, 64, "did you mean sumi inspect?");
  expect_refused({"tran", "ldm"}, 64, "did you mean sumi train?");
  expect_refused({"rain", "on", "a", "street"}, 64, "quotes");
  expect_refused({"lion", "in", "the", "grass"}, 64, "put quotes around");
}

TEST_F(CliTest, MissingValue) {  // item 136
  expect_refused({"txt2img", "--prompt"}, 64, "--prompt needs a value");
  expect_refused({"txt2img", "--prompt", "--plms"}, 64, "--prompt needs a value");
  expect_refused({"txt2img", "--plms=yes"}, 64, "--plms takes no value");
  expect_refused({"inspect"}, 64, "file is required");
  expect_refused({"pull"}, 64, "sumi pull tokenizer");
  // An empty value, as from "$UNSET", does not mean the default.
  expect_refused({"a cat", "--ckpt", ""}, 64, "--ckpt is empty");
  expect_refused({"a cat", "-o", ""}, 64, "-o is empty");
  expect_refused({"bench", "--size="}, 64, "--size is empty");
}

TEST_F(CliTest, TwiceIsRefusedUnderWhateverSpelling) {  // item 148
  expect_refused({"txt2img", "--seed", "1", "--seed", "2"}, 64, "--seed is given twice");
  expect_refused({"txt2img", "--scale", "1", "--cfg_scale", "2"}, 64, "is given twice");
  expect_refused({"txt2img", "--ddim_steps", "1", "--steps=2"}, 64, "is given twice");
  expect_refused({"txt2img", "--plms", "--plms"}, 64, "--plms is given twice");
}

struct BadValue {
  std::string option, value, part;
  friend std::ostream& operator<<(std::ostream& out, const BadValue& bad) {
    return out << bad.option << ' ' << bad.value;
  }
};

class BadValueTest : public CliTest, public testing::WithParamInterface<BadValue> {};

TEST_P(BadValueTest, IsRefused) {
  const BadValue& bad = GetParam();
  expect_refused({"txt2img", bad.option, bad.value, "--ckpt", "/absent.ckpt"}, 64, bad.part);
}

INSTANTIATE_TEST_SUITE_P(
    Items137To143, BadValueTest,
    testing::Values(BadValue{"--W", "0", "multiple of 8"}, BadValue{"--W", "-8", "multiple of 8"},
                    BadValue{"--width", "513", "multiple of 8"}, BadValue{"--H", "1000000000", "multiple of 8"},
                    BadValue{"--H", "99999999999999999999", "too large"}, BadValue{"--H", "64.5", "not a whole number"},
                    BadValue{"--steps", "0", "--steps must be"}, BadValue{"--steps", "-1", "--steps must be"},
                    BadValue{"--ddim_steps", "1000000000", "--steps must be"},
                    BadValue{"--steps", "ten", "not a whole number"}, BadValue{"--scale", "nan", "guidance"},
                    BadValue{"--cfg_scale", "inf", "guidance"}, BadValue{"--scale", "-1", "guidance"},
                    BadValue{"--scale", "1e309", "too large"}, BadValue{"--eta", "nan", "eta"},
                    BadValue{"--seed", "18446744073709551616", "seed"}, BadValue{"--seed", "-2", "seed"},
                    BadValue{"--seed", "", "seed"}, BadValue{"--seed", "1.5", "seed"},
                    BadValue{"--threads", "0", "--threads"}, BadValue{"--threads", "1000000", "--threads"},
                    BadValue{"--n_samples", "0", "at once"}, BadValue{"--n_iter", "0", "iterations"},
                    BadValue{"--n_rows", "-1", "--n-rows"}, BadValue{"--sampler", "magic", "magic"},
                    BadValue{"--schedule", "magic", "magic"}, BadValue{"--dtype", "i8", "--dtype"},
                    BadValue{"--dtype", "f7", "f7"},
                    BadValue{"--backend", "abacus", "--backend \"abacus\"; `sumi list backends`"},
                    BadValue{"--rng", "dice", "--rng"}, BadValue{"--precision", "half", "--precision"},
                    BadValue{"--prediction", "flow", "eps, v, x0 or auto"},
                    BadValue{"--prompt-syntax", "free", "--prompt-syntax"}));

TEST_F(CliTest, ABackendThatIsNotThere) {
  expect_refused({"txt2img", "--backend", "cuda", "--ckpt", "/absent.ckpt"}, 69, "backend cuda");
}

TEST_F(CliTest, ThreadsThatCannotBeStartedAreAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve more address space than any limit";
#endif
  const Words words{"probe", "randn", "--count", "1", "--out", "x.safetensors", "--threads", "1024"};
  Child child(Words{SUMI_BINARY} + words, isolated({.address_space = rlim_t{512} << 20}));
  ASSERT_TRUE(child.wait_until([&] { return !child.err().empty(); })) << "it hangs";
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.code, 69) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("of 1024 threads could be started; use fewer --threads"));
  EXPECT_LT(outcome.cpu_seconds, 5.0);
  EXPECT_THAT(names_in(here()), testing::IsEmpty());
}

TEST_F(CliTest, ContradictionsAreRefused) {
  expect_refused({"txt2img", "--plms", "--dpm_solver"}, 64, "exclude one another");
  expect_refused({"txt2img", "--plms", "--sampler", "euler"}, 64, "exclude one another");
  expect_refused({"txt2img", "--sampler", "DPM++ 2M Karras", "--schedule", "uniform"}, 64, "karras");
  expect_refused({"a", "cat"}, 64, "quotes");
  expect_refused({"txt2img", "--sampler", "plms", "--schedule", "karras", "--ckpt", "/absent.ckpt"}, 64, "plms");
}

TEST_F(CliTest, PreviewsWithoutEffectAreRefused) {
  const Words line{"a cat", "--ckpt", "/absent.ckpt"};
  expect_refused(line + Words{"--quiet", "--preview", "terminal"}, 64,
                 "--preview terminal shows nothing with --quiet: leave one of them out");
  expect_refused(line + Words{"--preview-vae", "taesd.pth"}, 64, "--preview-vae means nothing without --preview");
}

TEST_F(CliTest, WordsThatLookLikeCommandsPointToTheirOption) {
  expect_refused({"inpaint"}, 64, "there is no sumi inpaint; sumi \"PROMPT\" --init FILE --mask MASK");
  expect_refused({"inpaint", "--init", "a.png"}, 64, "--mask MASK");
  expect_refused({"outpaint"}, 64, "--init FILE --extend L,R,T,B");
  expect_refused({"hires", "a.png"}, 64, "--hires 2");
  expect_refused({"controlnet"}, 64, "--control MODEL:IMAGE");
}

TEST_F(CliTest, OptionsOfWhatIsNotGivenAreNamed) {
  const Words line{"a cat", "--ckpt", "/absent.ckpt"};
  expect_refused(line + Words{"--only-masked"}, 64, "--only-masked means nothing without --mask");
  expect_refused(line + Words{"--only-masked", "--mask", "off"}, 64, "--only-masked means nothing without --mask");
  expect_refused(line + Words{"--only-masked", "--extend", "8"}, 64, "--only-masked and --extend exclude one another");
  expect_refused(line + Words{"--control-preprocess", "canny"}, 64, "--control-preprocess means nothing without");
  expect_refused(line + Words{"--hires", "off", "--hires-steps", "3"}, 64, "the options of --hires");
  expect_refused(line + Words{"--hires", "twice"}, 64, "--hires takes a number, how many times as large, or off");
  expect_refused(line + Words{"--control", "off", "--control", "a:b"}, 64, "--control off goes with no other");
  expect_refused({"img2img", "--init-img", "off"}, 64, "img2img begins from a picture: --init-img FILE");
}

TEST_F(CliTest, VerifysDefaultsAreThePictures) {
  const Outcome outcome = sumi({"verify", "--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* option : {"--steps", "--scale", "--seed", "--strength", "--precision", "--watermark"})
    EXPECT_THAT(outcome.out, testing::ContainsRegex(std::string(option) + "[^\n=]*\n")) << option;
}

}  // namespace
}  // namespace sumi::test
