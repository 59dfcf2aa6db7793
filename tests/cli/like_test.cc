// Drawing again what a picture tells about itself: --like and sumi verify.
#include <cmath>
#include <nlohmann/json.hpp>

#include "image/metadata.h"
#include "image/png.h"
#include "io/json_file.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/control_files.h"
#include "tests/support/taesd_files.h"

namespace sumi::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string data(const std::string& name) { return std::string(SUMI_TEST_DATA) + "/" + name; }

std::string parameters_of(const fs::path& file) {
  for (const auto& [key, text] : image::read_png(file).texts) {
    if (key == image::kParametersKey) return text;
  }
  return "";
}

image::Image picture(int64_t width, int64_t height) {
  image::Image image(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(120.0 + 90.0 * std::sin(0.003 * static_cast<double>(i)) + i % 23);
  return image;
}

class LikeTest : public CliTest {
 protected:
  // Files that jobs name: a picture, a mask of its size, hints.
  void SetUp() override {
    image::write_png(here() / "in.png", picture(72, 64));
    image::write_png(here() / "odd.png", picture(75, 61));
    for (const auto& [name, width, height] : {std::tuple{"mask.png", 72, 64}, {"odd-mask.png", 75, 61}}) {
      image::Image mask(width, height);
      for (int64_t y = 16; y < 40; ++y) std::fill_n(mask.row(y) + 60, 90, uint8_t{255});
      image::write_png(here() / name, mask);
    }
    fs::copy_file(data("lora/lycoris_loha.safetensors"), here() / "style.safetensors");
    fs::copy_file(data("embeddings/a1111.pt"), here() / "word.pt");
  }

  // `word` is a whole command line but for the model.
  void draw(const Words& words) const {
    const Outcome outcome = sumi(words + Words{"--quiet"} + model());
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  Outcome again(const std::string& file, const Words& more = {}) const {
    return sumi(Words{"--like", file, "-o", "again.png"} + more + model());
  }
  bool same_pixels(const std::string& a, const std::string& b) const {
    return image::read_png(here() / a).image == image::read_png(here() / b).image;
  }
};

// A job: the options of the short form, and whether they name files of models.
struct Job {
  std::string name;
  Words words;
  bool control = false, upscaler = false, vae = false;
};

class LikeJobs : public LikeTest, public testing::WithParamInterface<Job> {
 protected:
  void write_models() const {
    if (GetParam().control) io::write_safetensors(here() / "canny.safetensors", tiny_control());
    if (GetParam().vae) io::write_safetensors(here() / "tiny_decoder.safetensors", tiny_autoencoder("decoder"));
    if (GetParam().upscaler) io::write_safetensors(here() / "4x, sharp.safetensors", tiny_upscaler("x4"));
  }
};

const Words kSmall{"--W", "64", "--H", "64", "--steps", "3"};
const Words kSteps{"--steps", "4"};

TEST_P(LikeJobs, GiveTheSameBytes) {
  write_models();
  draw(Words{"a (red:1.3) cat, \"sitting\" on a word", "-o", "first.png", "--seed", "7"} + GetParam().words);
  const Outcome outcome = again("first.png");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("not taken")));
  EXPECT_THAT(outcome.err, Not(HasSubstr("warning")));
  EXPECT_TRUE(read_bytes(here() / "first.png") == read_bytes(here() / "again.png"))
      << parameters_of(here() / "first.png") << "\n"
      << parameters_of(here() / "again.png");
  EXPECT_THAT(parameters_of(here() / "first.png"), Not(HasSubstr(here().string())));
  const Outcome verified = sumi(Words{"verify", "first.png"} + model());
  EXPECT_EQ(verified.code, 0) << verified.err;
  EXPECT_EQ(verified.out, "first.png: same bytes\n");
}

INSTANTIATE_TEST_SUITE_P(
    All, LikeJobs,
    testing::Values(
        Job{"plain", kSmall}, Job{"exact", kSmall + Words{"--prompt-syntax", "exact", "--rng", "cuda"}},
        Job{"other_numbers", Words{"--W", "72", "--H", "64", "--steps", "3", "--scale", "3.3000000000000003"}},
        Job{"ddim_eta", kSmall + Words{"--sampler", "ddim", "--eta", "0.3"}},
        Job{"sampler", kSmall + Words{"--sampler", "Euler a", "--negative-prompt", "a: b,\nc"}},
        Job{"precision", kSmall + Words{"--precision", "bf16"}}, Job{"weight_type", kSmall + Words{"--dtype", "q8_0"}},
        Job{"direct", kSmall + Words{"--exact"}}, Job{"prediction", kSmall + Words{"--prediction", "v"}},
        Job{.name = "autoencoder", .words = kSmall + Words{"--vae", "tiny_decoder.safetensors"}, .vae = true},
        Job{"lora", kSmall + Words{"--lora", "style.safetensors:0.7"}},
        Job{"lora_in_parts", kSmall + Words{"--lora", "style.safetensors:unet=0.7,text=0.2"}},
        Job{"embedding", kSmall + Words{"--embedding", "word.pt"}},
        Job{"embedding_exact", kSmall + Words{"--embedding", "word.pt", "--prompt-syntax", "exact"}},
        Job{"subseed", kSmall + Words{"--subseed", "9", "--subseed-strength", "0.3"}},
        Job{"seeding", kSmall + Words{"--seeding", "picture"}}, Job{"seamless", kSmall + Words{"--seamless", "x"}},
        Job{"tiling", kSmall + Words{"--seamless", "xy"}},
        Job{"watermark", Words{"--W", "256", "--H", "256", "--steps", "1", "--watermark", "made, here"}},
        Job{"img2img", kSteps + Words{"--init", "in.png", "--strength", "0.6"}},
        Job{"img2img_odd", kSteps + Words{"--init", "odd.png"}},
        Job{"img2img_ddim", kSteps + Words{"--init", "odd.png", "--sampler", "ddim"}},
        Job{"img2img_original", kSteps + Words{"--init", "odd.png", "--sampler", "ddim", "--convention", "original"}},
        Job{"img2img_resized", kSmall + Words{"--init", "odd.png", "--resize", "crop", "--background", "#102030"}},
        Job{"inpaint", kSteps + Words{"--init", "in.png", "--mask", "mask.png"}},
        Job{"inpaint_odd", kSteps + Words{"--init", "odd.png", "--mask", "odd-mask.png", "--mask-blur", "0"}},
        Job{"inpaint_resized",
            kSmall + Words{"--init", "odd.png", "--mask", "odd-mask.png", "--mask-content", "noise"}},
        Job{"inpaint_inverted", kSteps + Words{"--init", "in.png", "--mask", "mask.png", "--mask-invert"}},
        Job{"only_masked", kSmall + Words{"--init", "odd.png", "--mask", "odd-mask.png", "--mask-padding", "5"}},
        Job{"extend", kSteps + Words{"--init", "odd.png", "--extend", "8,0,3,5"}},
        Job{"hires", kSmall + Words{"--hires", "1.5", "--hires-steps", "2", "--hires-strength", "0.6"}},
        Job{"hires_other",
            kSmall + Words{"--hires", "1.25", "--hires-upscaler", "lanczos", "--hires-sampler", "ddim", "--hires-scale",
                           "3", "--hires-prompt", "a: dog,\n\"x\"", "--hires-negative-prompt", "y"}},
        Job{"hires_by_a_model", kSmall + Words{"--hires", "1.5", "--hires-upscaler", "4x, sharp.safetensors"}, false,
            true},
        Job{"control", kSmall + Words{"--control", "canny.safetensors:in.png:0.7:0.1:0.9"}, true},
        Job{"control_guess",
            kSmall + Words{"--control", "canny.safetensors:odd.png", "--guess-mode", "--resize", "fill"}, true},
        Job{"control_and_picture",
            kSteps + Words{"--control", "canny.safetensors:odd.png", "--init", "in.png", "--strength", "0.5"}, true},
        Job{"hires_of_a_picture", kSteps + Words{"--init", "in.png", "--hires", "1.5", "--hires-upscaler", "bicubic"}}),
    [](const auto& test) { return test.param.name; });

// With one generator each picture depends on those before it.
TEST_F(LikeTest, APictureOfAJobOfMany) {
  write_file(here() / "prompts.txt", "a cat\na dog\na fox\n");
  for (const Words& more :
       {Words{}, Words{"--fixed_code"}, Words{"--sampler", "euler_ancestral"}, Words{"--seeding", "picture"}}) {
    fs::remove_all(here() / "o");
    draw(Words{"txt2img", "--from-file", "prompts.txt", "--n_samples", "2", "--n_iter", "2", "--outdir", "o",
               "--skip_grid"} +
         kSmall + more);
    for (const std::string number : {"00001", "00002", "00003", "00005"}) {
      const std::string file = "o/samples/" + number + ".png";
      const Outcome outcome = again(file);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_TRUE(same_pixels(file, "again.png")) << parameters_of(here() / file);
      EXPECT_EQ(outcome.out, "again.png\n");
    }
  }
}

// The original's scripts draw only that picture, into their folders; a count that is given asks for as many.
TEST_F(LikeTest, TheScriptsDrawItToo) {
  draw(Words{"txt2img", "--prompt", "a (cat", "--n_samples", "2", "--n_iter", "2", "--outdir", "o", "--skip_grid"} +
       kSmall);
  draw(Words{"txt2img", "--like", "o/samples/00003.png", "--outdir", "p", "--skip_grid"});
  EXPECT_TRUE(same_pixels("o/samples/00003.png", "p/samples/00000.png"));
  EXPECT_FALSE(fs::exists(here() / "p/samples/00001.png"));
  draw(Words{"txt2img", "--like", "o/samples/00003.png", "--outdir", "q", "--n_samples", "2", "--n_iter", "2"});
  for (const char* name : {"00000.png", "00003.png"})
    EXPECT_TRUE(same_pixels(std::string("o/samples/") + name, std::string("q/samples/") + name)) << name;
  EXPECT_TRUE(fs::exists(here() / "q/grid-0000.png"));

  draw(Words{"img2img", "--prompt", "a dog", "--init_img", "in.png", "--strength", "0.5", "--n_samples", "1",
             "--outdir", "i", "--skip_grid"} +
       kSteps);
  EXPECT_THAT(parameters_of(here() / "i/samples/00000.png"), HasSubstr("CFG scale: 5,"));
  draw(Words{"img2img", "--like", "i/samples/00000.png", "--outdir", "j", "--skip_grid"});
  EXPECT_TRUE(same_pixels("i/samples/00000.png", "j/samples/00000.png"));
  const Outcome outcome = sumi(Words{"img2img", "--like", "o/samples/00003.png", "--outdir", "k"} + model());
  EXPECT_EQ(outcome.code, 64);
  EXPECT_THAT(outcome.err, HasSubstr("img2img begins from a picture: --init-img FILE"));
}

// One that lies beside the model is named, and so used again where it has been moved.
TEST_F(LikeTest, TheAutoencoderBesideTheModelIsNamed) {
  fs::copy_file(synthetic_model(), here() / "m.safetensors");
  io::write_safetensors(here() / "m.vae.safetensors", tiny_autoencoder("decoder"));
  const Words opened = model_at(here() / "m.safetensors");
  const Outcome first = sumi(Words{"a cat", "-o", "first.png", "--seed", "7"} + kSmall + opened);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(parameters_of(here() / "first.png"), HasSubstr("VAE: m.vae.safetensors"));
  fs::create_directory(here() / "vae");
  fs::rename(here() / "m.vae.safetensors", here() / "vae/m.vae.safetensors");
  Outcome outcome = sumi(Words{"--like", "first.png", "-o", "again.png"} + opened);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(same_pixels("first.png", "again.png"));
  fs::remove(here() / "vae/m.vae.safetensors");
  outcome = sumi(Words{"verify", "first.png"} + opened);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("not taken: m.vae.safetensors (give it with --vae FILE)"));
}

TEST_F(LikeTest, ExplicitOptionsWin) {
  draw(Words{"a cat", "-o", "first.png", "--seed", "7", "--sampler", "ddim", "--negative-prompt", "bad"} + kSmall);
  draw(Words{"a dog", "-o", "wanted.png", "--seed", "8", "--sampler", "euler", "--steps", "2", "--W", "64", "--H", "64",
             "--scale", "3", "--negative-prompt", ""});
  const Outcome outcome = sumi(Words{"a dog", "--like", "first.png", "-o", "again.png", "--seed", "8", "--sampler",
                                     "euler", "--steps", "2", "--scale", "3", "--negative-prompt", ""} +
                               model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(same_pixels("wanted.png", "again.png")) << parameters_of(here() / "again.png");
}

TEST_F(LikeTest, TheFileIsNamedByItsPromptAndSeed) {
  draw(Words{"A Cat", "-o", "first.png", "--seed", "7"} + kSmall);
  EXPECT_EQ(sumi(Words{"--like", "first.png"} + model()).out, "a-cat-7.png\n");
}

TEST_F(LikeTest, FilesAreFoundBesideThePicture) {
  draw(Words{"a cat", "-o", "first.png", "--seed", "7", "--init", "in.png", "--lora", "style.safetensors"} + kSteps);
  fs::create_directory(here() / "box");
  for (const char* name : {"first.png", "in.png", "style.safetensors"})
    fs::rename(here() / name, here() / "box" / name);
  ASSERT_EQ(again("box/first.png").code, 0);
  EXPECT_TRUE(same_pixels("box/first.png", "again.png"));
  fs::rename(here() / "box/in.png", here() / "elsewhere.png");
  Outcome outcome = again("box/first.png");
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.err, HasSubstr("in.png, the picture that it began from, is neither in this folder nor beside the "
                                     "picture; give it with --init"));
  ASSERT_EQ(again("box/first.png", {"--init", "elsewhere.png"}).code, 0);
  EXPECT_TRUE(same_pixels("box/first.png", "again.png"));
  fs::remove(here() / "box/style.safetensors");
  outcome = again("box/first.png", {"--init", "elsewhere.png"});
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.err, HasSubstr("--lora-dir"));
}

TEST_F(LikeTest, AnotherPictureOfTheSameNameIsWarnedOf) {
  draw(Words{"a cat", "-o", "first.png", "--seed", "7", "--init", "in.png"} + kSteps);
  image::write_png(here() / "in.png", picture(64, 64));
  const Outcome outcome = again("first.png");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("warning: in.png is not the file that the picture was made with"));
  const Outcome verified = sumi(Words{"verify", "first.png"} + model());
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(
      verified.out,
      testing::MatchesRegex("first.png: different: PSNR [0-9.]+ dB, [0-9.]+ % of the pixels equal, none off by more "
                            "than [0-9]+\n"));
}

TEST_F(LikeTest, WhatIsNotTakenIsTold) {
  image::write_png(here() / "theirs.png", image::Image(64, 64),
                   {{"parameters",
                     "a cat\nNegative prompt: bad\nSteps: 2, Sampler: Euler a, CFG scale: 7, Seed: 1, "
                     "Size: 64x64, Model: other, Clip skip: 2, ADetailer model: face.pt"}});
  const Outcome outcome = again("theirs.png");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("note: not taken from theirs.png: Clip skip 2, ADetailer model face.pt\n"));
  EXPECT_THAT(outcome.err, HasSubstr("note: theirs.png was drawn with the model other, not tiny-f32"));
  EXPECT_THAT(parameters_of(here() / "again.png"), HasSubstr("Sampler: Euler a, Schedule type: Uniform, CFG scale: 7"));
  const Outcome verified = sumi(Words{"verify", "theirs.png", "--json", "--quiet"} + model());
  EXPECT_EQ(verified.code, 1);
  const auto json = nlohmann::json::parse(verified.out);
  EXPECT_EQ(json["same"], false);
  EXPECT_GT(json["psnr"].get<double>(), 0.0);
  EXPECT_LT(json["equal"].get<double>(), 1.0);
  EXPECT_EQ(json["reasons"].size(), 4u);  // version, model, two not taken
  EXPECT_THAT(json["reasons"][1], HasSubstr("Model other then, tiny-f32 now"));
}

TEST_F(LikeTest, WhatCannotBeUsedIsRefused) {
  const auto refused = [&](const Words& words, int code, const std::string& part) {
    const Outcome outcome = sumi(words + model());
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  refused({"--like", "absent.png"}, 66, "absent.png");
  refused({"--like", "in.png"}, 65, "in.png: carries no settings in a form that is known");
  refused({"--like", data("tiny.yaml")}, 65, "is no PNG, JPEG or WebP");
  refused({"--steps", "3"}, 64, "prompt is required");
  refused({"verify"}, 64, "file is required");
  refused({"verify", "in.png"}, 65, "carries no settings");
  image::write_png(here() / "bad.png", image::Image(8, 8),
                   {{"parameters", "a\nSteps: 99999999, Seed: 1, Size: 64x64"}});
  refused({"--like", "bad.png"}, 64, "--steps must be from 1 to 10000");
}

// Options of a part that only the picture tells of.
TEST_F(LikeTest, OptionsOfAPartChangeThePictures) {
  io::write_safetensors(here() / "canny.safetensors", tiny_control());
  struct Change {
    Words part, options;
  };
  const Words masked = kSteps + Words{"--init", "in.png", "--mask", "mask.png"};
  const Change changes[] = {
      {kSmall + Words{"--hires", "1.5", "--hires-steps", "2", "--hires-scale", "3"}, {"--hires-strength", "0.5"}},
      {kSmall + Words{"--hires", "1.5", "--hires-sampler", "DPM++ 2M Karras"}, {"--hires-sampler", "ddim"}},
      {kSmall + Words{"--control", "canny.safetensors:in.png:0.7"}, {"--control-preprocess", "canny"}},
      {kSteps + Words{"--init", "in.png"}, {"--strength", "0.5"}},
      {masked, {"--mask-blur", "1"}},
      {masked + Words{"--W", "64", "--H", "64"}, {"--only-masked"}},
      {masked, {"--mask-content", "fill", "--mask-invert"}}};
  for (const auto& [part, options] : changes) {
    draw(Words{"a cat", "-o", "first.png", "--seed", "7"} + part);
    const Words before = part.back().starts_with("DPM") ? Words(part.begin(), part.end() - 2) : part;
    draw(Words{"a cat", "-o", "wanted.png", "--seed", "7"} + before + options);
    const Outcome outcome = again("first.png", options);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(same_pixels("wanted.png", "again.png")) << parameters_of(here() / "again.png");
    EXPECT_FALSE(same_pixels("first.png", "again.png")) << options[0];
  }
}

// The upscaler that is given is used; the picture's need not be there.
TEST_F(LikeTest, TheUpscalerThatIsNotUsedIsNotLookedFor) {
  io::write_safetensors(here() / "sharp.safetensors", tiny_upscaler("x4"));
  draw(Words{"a cat", "-o", "first.png", "--seed", "7", "--hires", "1.5", "--hires-upscaler", "sharp.safetensors"} +
       kSmall);
  draw(Words{"a cat", "-o", "wanted.png", "--seed", "7", "--hires", "1.5", "--hires-upscaler", "box"} + kSmall);
  fs::remove(here() / "sharp.safetensors");
  Outcome outcome = again("first.png", {"--hires-upscaler", "box"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(same_pixels("wanted.png", "again.png"));
  outcome = again("wanted.png");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(same_pixels("wanted.png", "again.png"));
}

TEST_F(LikeTest, OffTurnsAPartOff) {
  io::write_safetensors(here() / "canny.safetensors", tiny_control());
  struct Part {
    std::string option;
    Words words, rest;  // with the part, and without it
  };
  const Words init{"--init", "in.png", "--strength", "0.6"};
  const Part parts[] = {
      {"--hires", kSmall + Words{"--hires", "1.5"}, kSmall},
      {"--seamless", kSmall + Words{"--seamless", "xy"}, kSmall},
      {"--control", kSmall + Words{"--control", "canny.safetensors:odd.png:2"}, kSmall},
      {"--init", kSmall + init, kSmall},
      {"--mask", kSteps + init + Words{"--mask", "mask.png", "--mask-blur", "2"}, kSteps + init},
      {"--mask", kSmall + init + Words{"--mask", "mask.png", "--only-masked"}, init + Words{"--steps", "3"}},
      {"--extend", kSteps + init + Words{"--extend", "8,0,0,0"}, kSteps + init}};
  for (const auto& [option, words, rest] : parts) {
    draw(Words{"a cat", "-o", "first.png", "--seed", "7"} + words);
    draw(Words{"a cat", "-o", "wanted.png", "--seed", "7"} + rest);
    const Outcome outcome = again("first.png", {option, "off"});
    ASSERT_EQ(outcome.code, 0) << option << ": " << outcome.err;
    EXPECT_TRUE(same_pixels("wanted.png", "again.png")) << option << ": " << parameters_of(here() / "again.png");
    EXPECT_FALSE(same_pixels("first.png", "wanted.png")) << option;
  }
}

TEST_F(LikeTest, OffIsNothingWithoutAPicture) {
  draw(Words{"a cat", "-o", "plain.png", "--seed", "7"} + kSmall);
  Words words = Words{"a cat", "-o", "off.png", "--seed", "7"} + kSmall;
  for (const char* option : {"--hires", "--mask", "--init", "--seamless", "--control", "--extend"})
    words = words + Words{option, "off"};
  draw(words);
  EXPECT_TRUE(same_pixels("plain.png", "off.png"));
}

// The one that is wanted may be in a later batch, and not the first there.
TEST_F(LikeTest, ThePreviewIsOfThePictureThatIsWanted) {
  draw(Words{"txt2img", "--prompt", "a cat", "--n_samples", "2", "--n_iter", "2", "--outdir", "o", "--skip_grid"} +
       kSmall);
  for (const std::string number : {"2", "3"}) {
    const Outcome outcome = again("o/samples/0000" + number + ".png", {"--preview", "preview" + number + ".png"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    ASSERT_TRUE(fs::exists(here() / ("preview" + number + ".png")));
  }
  EXPECT_FALSE(same_pixels("preview2.png", "preview3.png"));
}

TEST_F(LikeTest, VerifyDrawsFromOnePicture) {
  draw(Words{"a cat", "-o", "first.png", "--seed", "7", "--init", "in.png"} + kSteps);
  fs::create_directory(here() / "in");
  for (const char* name : {"a.png", "b.png"}) fs::copy_file(here() / "in.png", here() / "in" / name);
  for (const char* several : {"in", "in/*.png"}) {
    const Outcome outcome = sumi(Words{"verify", "first.png", "--init", several} + model());
    EXPECT_EQ(outcome.code, 64) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("--init names the one that it began from, not several"));
  }
  EXPECT_EQ(sumi(Words{"verify", "first.png", "--init", "in/b.png"} + model()).code, 0);
}

// Of two texts the first is read everywhere.
TEST_F(LikeTest, VerifyReadsTheSettingsThatAreUsed) {
  const std::string settings = "a cat\nSteps: 2, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, Model: ";
  image::write_png(here() / "two.png", image::Image(64, 64),
                   {{"parameters", settings + "first"}, {"parameters", settings + "second"}});
  const Outcome outcome = sumi(Words{"verify", "two.png", "--quiet"} + model());
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Model first then, tiny-f32 now"));
}

}  // namespace
}  // namespace sumi::test
