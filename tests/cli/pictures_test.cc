// Pictures in: image to image, inpainting, larger pictures, against the original's, diffusers' and the web UI's own.
#include "tests/cli/cli_fixture.h"
#include "tests/support/clip_vocabulary.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/safetensors.h"
#include "tests/support/relative_l2.h"

namespace sumi::test {
namespace {

std::string data(const std::string& name) { return std::string(SUMI_TEST_DATA) + "/" + name; }

// The small model whose UNet takes nine channels.
fs::path inpainting_model() {
  const fs::path path = fs::path(SUMI_TEST_MODELS) / "tiny_inpaint.safetensors";
  const fs::path plain = synthetic_model();
  make_once(path, path, [&] {
    const auto file = io::open_checkpoint(plain);
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const io::TensorInfo& info : file->tensors()) {
      const std::string name(info.name);
      Tensor value = file->tensor(name);
      if (name == "model.diffusion_model.input_blocks.0.0.weight") {
        value = Tensor::empty({32, 9, 3, 3});
        const HostEdit<float> values(value);
        tools::synthetic_values(name, value.shape(), 0, values.span());
      }
      tensors.emplace_back(name, value);
    }
    io::write_safetensors(path, tensors);
  });
  return path;
}

class PicturesTest : public CliTest {
 protected:
  static Words weights(const fs::path& checkpoint = synthetic_model()) {
    return {"--ckpt", checkpoint.string(), "--config",
            data(checkpoint.stem() == "tiny_inpaint" ? "tiny_inpaint.yaml" : "tiny.yaml")};
  }
  Words draw(const Words& more) const {
    return Words{"a red apple", "--steps", "4", "--seed", "7", "--quiet", "-o", "out.png"} + model() + more;
  }
  image::Image drawn(const Words& more) const {
    const Outcome outcome = sumi(draw(more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return image::read_png(here() / "out.png").image;
  }
  // A picture with structure at every size.
  image::Image picture(int64_t width, int64_t height) const {
    image::Image image(width, height);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const double wave = 60.0 * std::sin(0.05 * static_cast<double>(x)) * std::cos(0.07 * static_cast<double>(y));
        for (int64_t c = 0; c < 3; ++c)
          image.row(y)[x * 3 + c] = static_cast<uint8_t>(100 + 20 * c + static_cast<int64_t>(wave) + (x * y) % 7);
      }
    }
    return image;
  }
  // White within [left, right) × [top, bottom).
  image::Image box(int64_t width, int64_t height, int64_t left, int64_t right, int64_t top, int64_t bottom) const {
    image::Image mask(width, height);
    for (int64_t y = top; y < bottom; ++y) std::fill_n(mask.row(y) + left * 3, (right - left) * 3, uint8_t{255});
    return mask;
  }
};

struct Set {
  std::string file;
  bool nine_channels = false;
  Words inputs;  // tensors that are no results
};

class SetsTest : public PicturesTest, public testing::WithParamInterface<Set> {};

// Every trajectory of a set, from the set's own inputs.
TEST_P(SetsTest, EqualsItsProgram) {
  const Set& set = GetParam();
  const auto golden = io::open_checkpoint(data(set.file + ".safetensors"));
  const Words engine = set.nine_channels ? weights(inpainting_model()) : weights();
  Words line{"probe", "sample", "--in", data(set.file + ".safetensors"), "--out", "out"};
  if (set.file == "img2img_tiny_diffusers") line = line + Words{"--init", data("img2img_tiny_init_a.png")};
  const Outcome outcome = sumi(line + engine);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto got = io::open_checkpoint(here() / "out");
  int compared = 0;
  for (const io::TensorInfo& info : golden->tensors()) {
    const std::string name(info.name);
    const auto begins = [&](const std::string& text) { return name.starts_with(text); };
    if (std::any_of(set.inputs.begin(), set.inputs.end(), begins) || name.ends_with("_init_latent") ||
        name.ends_with("_nmask"))
      continue;
    ASSERT_TRUE(got->has(name)) << name;
    ASSERT_EQ(got->tensor(name).shape(), golden->tensor(name).shape()) << name;
    EXPECT_LE(test::relative_l2(got->tensor(name), golden->tensor(name)), 1e-4) << name;
    ++compared;
  }
  EXPECT_GE(compared, 2);
}

const Words kCommon{"cond",       "uncond",     "init_latent_", "image_", "noised_",
                    "timesteps_", "compvis_x0", "compvis_keep", "mask",   "x_T"};

INSTANTIATE_TEST_SUITE_P(All, SetsTest,
                         testing::Values(Set{"img2img_tiny_diffusers", false, kCommon},
                                         Set{"img2img_tiny_a1111", false, kCommon},
                                         Set{"inpaint_blend_tiny", false, kCommon},
                                         Set{"tiny_inpaint_ddim", true, kCommon}, Set{"hires_tiny", false, kCommon}),
                         [](const auto& test) { return test.param.file; });

class OriginalTest : public PicturesTest {
 protected:
  void SetUp() override {
    if (!vocabulary_) GTEST_SKIP() << kNoClipVocabulary;
  }
  std::optional<fs::path> vocabulary_ = clip_vocabulary();
};

TEST_F(OriginalTest, ImageToImage) {
  const auto draws = [&](const std::string& picture, const std::string& strength, const std::string& samples) {
    fs::remove_all(here() / "o");
    const Outcome outcome =
        sumi(Words{"img2img", "--prompt", "a photograph of an astronaut riding a horse", "--init-img",
                   data("img2img_tiny_init_" + picture + ".png"), "--strength", strength, "--ddim_steps", "20",
                   "--n_samples", samples, "--n_iter", "1", "--outdir", "o", "--tokenizer", vocabulary_->string()} +
             weights());
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  };
  for (const std::string picture : {"a", "b"}) {
    draws(picture, "0.3", "2");
    expect_like_reference(here() / "o/samples/00000.png", "img2img_tiny_compvis_" + picture + "_0.3_0.png");
    draws(picture, "0.75", "2");
    expect_like_reference(here() / "o/samples/00000.png", "img2img_tiny_compvis_" + picture + "_0.75_0.png");
    expect_like_reference(here() / "o/samples/00001.png", "img2img_tiny_compvis_" + picture + "_0.75_1.png");
  }
  draws("a", "1.0", "1");  // where the original fails
}

TEST_F(OriginalTest, InpaintingOfNineChannels) {
  const Outcome outcome =
      sumi(Words{"img2img", "--prompt", "a photograph of an astronaut riding a horse", "--init-img",
                 data("tiny_inpaint_image.png"), "--mask", data("tiny_inpaint_mask.png"), "--n_samples", "1",
                 "--outdir", "o", "--ddim_steps", "10", "--scale", "7.5", "--tokenizer", vocabulary_->string()} +
           weights(inpainting_model()));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
}

struct Masked {
  std::string name;
  int64_t width, height;
  Words more;
  bool nine_channels = false;
};

class MaskedTest : public PicturesTest, public testing::WithParamInterface<Masked> {};

// Outside the mask's reach every byte is the given picture's; inside something is drawn.
TEST_P(MaskedTest, KeepsEveryByteOutside) {
  const Masked& job = GetParam();
  const int64_t left = job.width / 3, right = job.width * 2 / 3, top = job.height / 4, bottom = job.height * 2 / 3;
  const image::Image given = picture(job.width, job.height);
  image::write_png(here() / "in.png", given);
  image::write_png(here() / "mask.png", box(job.width, job.height, left, right, top, bottom));
  Words words = Words{"--init", "in.png", "--mask", "mask.png", "--mask-blur", "2"} + job.more;
  Words line = Words{"a red apple", "--steps", "4",       "--seed",      "7",
                     "--quiet",     "-o",      "out.png", "--tokenizer", byte_tokenizer().string()} +
               (job.nine_channels ? weights(inpainting_model()) : weights()) + words;
  const Outcome outcome = sumi(line);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const image::Image out = image::read_png(here() / "out.png").image;
  ASSERT_EQ(out.width, job.width);
  ASSERT_EQ(out.height, job.height);
  const int64_t reach = 5;  // of a blur of 2: 2.5 sigma
  int64_t changed_inside = 0, inside = 0;
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      const bool near = x >= left - reach && x < right + reach && y >= top - reach && y < bottom + reach;
      const bool same = std::equal(out.row(y) + x * 3, out.row(y) + x * 3 + 3, given.row(y) + x * 3);
      if (!near) {
        ASSERT_TRUE(same) << x << "," << y;
      } else {
        ++inside;
        changed_inside += same ? 0 : 1;
      }
    }
  }
  EXPECT_GT(changed_inside, inside / 2);
}

INSTANTIATE_TEST_SUITE_P(All, MaskedTest,
                         testing::Values(Masked{"webui", 128, 64, {}}, Masked{"odd", 101, 77, {}},
                                         Masked{"ddim", 96, 64, {"--sampler", "ddim"}},
                                         Masked{"original", 96, 64, {"--sampler", "ddim", "--convention", "original"}},
                                         Masked{"fill", 96, 64, {"--mask-content", "fill"}},
                                         Masked{"noise", 96, 64, {"--mask-content", "noise"}},
                                         Masked{"nothing", 96, 64, {"--mask-content", "nothing", "--strength", "1"}},
                                         Masked{
                                             "only_masked", 131, 97, {"--mask-padding", "9", "--H", "64", "--W", "64"}},
                                         Masked{"nine_channels", 96, 64, {}, true},
                                         Masked{"nine_channels_ddim", 101, 77, {"--sampler", "ddim"}, true}),
                         [](const auto& test) { return test.param.name; });

TEST_F(PicturesTest, ExtendsWithoutTouchingThePicture) {
  const image::Image given = picture(72, 64);
  image::write_png(here() / "in.png", given);
  const image::Image out = drawn({"--init", "in.png", "--extend", "24,0,8,0", "--mask-blur", "2"});
  ASSERT_EQ(out.width, 96);
  ASSERT_EQ(out.height, 72);
  const int64_t edge = 8 + 5;  // overlap and blur
  for (int64_t y = 8 + edge; y < 72; ++y)
    ASSERT_TRUE(std::equal(out.row(y) + (24 + edge) * 3, out.row(y) + 96 * 3, given.row(y - 8) + edge * 3)) << y;
}

TEST_F(PicturesTest, AFolderKeepsItsNames) {
  fs::create_directory(here() / "in");
  fs::create_directory(here() / "masks");
  for (const char* name : {"one", "two"}) {
    image::write_png(here() / "in" / (std::string(name) + ".png"), picture(64, 64));
    image::write_png(here() / "masks" / (std::string(name) + ".png"), box(64, 64, 16, 48, 16, 48));
  }
  const Words line{"a red apple", "--steps", "2", "--seed", "7", "--quiet", "--init"};
  Outcome outcome = sumi(line + Words{"in", "--mask", "masks", "-o", "out"} + model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(names_in(here() / "out"), (Words{"one.png", "two.png"}));
  outcome = sumi(line + Words{"in/t*.png", "-o", "more"} + model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(names_in(here() / "more"), Words{"two.png"});
  fs::remove(here() / "masks/two.png");
  outcome = sumi(line + Words{"in", "--mask", "masks", "-o", "again"} + model());
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, testing::HasSubstr("has no mask in masks"));
}

TEST_F(PicturesTest, HiresDrawsLarger) {
  const image::Image latent = drawn({"--W", "64", "--H", "64", "--hires", "1.5"});
  EXPECT_EQ(latent.width, 96);
  const image::Image pixels = drawn({"--W", "64", "--H", "64", "--hires", "1.5", "--hires-upscaler", "lanczos"});
  EXPECT_EQ(pixels.height, 96);
  EXPECT_NE(latent, pixels);
}

// Its second pass has a mask that is white all over.
TEST_F(PicturesTest, AnInpaintingModelDrawsLargerToo) {
  image::write_png(here() / "in.png", picture(64, 64));
  for (const Words& more : {Words{"--W", "64", "--H", "64"}, Words{"--init", "in.png"}}) {
    for (const char* upscaler : {"latent", "lanczos"}) {
      const Outcome outcome =
          sumi(Words{"a red apple", "--steps", "4", "--seed", "7", "--hires", "1.5", "--hires-upscaler", upscaler, "-o",
                     "out.png", "--tokenizer", byte_tokenizer().string()} +
               weights(inpainting_model()) + more);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_EQ(image::read_png(here() / "out.png").image.width, 96);
    }
  }
}

TEST_F(PicturesTest, AHiresScheduleOfTooManyStepsIsRefused) {
  for (const char* strength : {"0.0001", "1e-300"}) {
    const Outcome outcome =
        sumi(draw({"--W", "64", "--H", "64", "--hires", "1.5", "--hires-strength", strength, "--hires-steps", "20"}));
    EXPECT_EQ(outcome.code, 64);
    EXPECT_THAT(outcome.err, testing::HasSubstr("20 --steps of --hires at its --strength"));
  }
}

TEST_F(PicturesTest, VariationsLieBetweenTwoSeeds) {
  const Words size{"--W", "64", "--H", "64"};
  const image::Image plain = drawn(size);
  const image::Image none = drawn(size + Words{"--subseed", "8", "--subseed-strength", "0"});
  const image::Image part = drawn(size + Words{"--subseed", "8", "--subseed-strength", "0.2"});
  const image::Image all = drawn(size + Words{"--subseed", "8", "--subseed-strength", "1"});
  EXPECT_EQ(plain, none);
  EXPECT_NE(plain, part);
  EXPECT_NE(all, part);
}

TEST_F(PicturesTest, RefusesWhatMeansNothing) {
  expect_refused(draw({"--strength", "0.5"}), 64, "--strength means nothing without --init");
  expect_refused(draw({"--mask", "mask.png"}), 66, "mask.png");
  expect_refused(draw({"--init", "nowhere.png"}), 66, "nowhere.png");
  expect_refused(draw({"--init", data("tiny.yaml")}), 65, "is not a picture");
  expect_refused(draw({"--init", data("img2img_tiny_init_a.png"), "--strength", "1.5"}), 64, "0 to 1");
  expect_refused(draw({"--init", data("img2img_tiny_init_a.png"), "--strength", "0.01", "--sampler", "ddim"}), 64,
                 "leaves no step to run");
  expect_refused(draw({"--init", data("img2img_tiny_init_a.png"), "--mask-blur", "3"}), 64,
                 "--mask-blur means nothing without --mask");
  expect_refused(draw({"--hires-steps", "3"}), 64, "--hires");
  expect_refused(draw({"--init", data("img2img_tiny_init_a.png"), "--extend", "1,2"}), 64, "--extend takes pixels");
}

// A folder of two pictures, the second `width` wide.
class FolderTest : public PicturesTest {
 protected:
  void write_folder(int64_t width) const {
    fs::create_directories(here() / "in");
    image::write_png(here() / "in/one.png", picture(64, 64));
    image::write_png(here() / "in/two.png", box(width, 64, 8, 40, 8, 40));
  }
  Outcome draw_folder(const Words& more) const {
    return sumi(Words{"img2img", "--prompt", "a", "--init-img", "in", "--n_samples", "1", "--n_iter", "2", "--steps",
                      "3", "--outdir", "o", "--json"} +
                model() + more);
  }
};

TEST_F(FolderTest, PicturesOfOneSizeMakeAGrid) {
  write_folder(64);
  const Outcome outcome = draw_folder({"--n_rows", "2", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["images"].size(), 4u);
  ASSERT_EQ(json["grids"].size(), 1u);
  EXPECT_EQ(image::read_png(here() / "o/grid-0000.png").image.height, 2 * 66 + 2);
}

TEST_F(FolderTest, PicturesOfUnlikeSizesMakeNone) {
  write_folder(96);
  const Outcome outcome = draw_folder({});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("warning: no grid is made: the pictures have different sizes"));
  const auto json = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(json["images"].size(), 4u);
  EXPECT_EQ(json["images"][1]["init"], "in/one.png");
  EXPECT_EQ(json["images"][2]["init"], "in/two.png");
  EXPECT_EQ(json["images"][2]["width"], 96);
  EXPECT_EQ(json["grids"].size(), 0u);
  EXPECT_EQ(names_in(here() / "o"), Words{"samples"});
}

TEST_F(FolderTest, EachPictureHasItsPreview) {
  write_folder(64);
  const Words line = Words{"a", "--steps", "3", "--seed", "7", "--quiet"} + model();
  ASSERT_EQ(sumi(line + Words{"--init", "in/two.png", "-o", "two.png", "--preview", "wanted.png"}).code, 0);
  const Outcome outcome = sumi(line + Words{"--init", "in", "-o", "out", "--preview", "last.png"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(image::read_png(here() / "last.png").image, image::read_png(here() / "wanted.png").image);
}

// Standard error, a terminal, of a command line that fails once its pictures are read.
std::string told_to_a_terminal(const Words& words, const RunOptions& options) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return "no terminal";
  const std::string name = ptsname(terminal);
  const int keeps = open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);  // what is written stays until it is read
  run_program(Words{"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>" + name} + words, options);
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(read(terminal, text.data(), text.size()), 0)));
  close(keeps);
  close(terminal);
  return text;
}

TEST_F(PicturesTest, ReadingManyPicturesIsShown) {
  fs::create_directory(here() / "in");
  for (int i = 0; i < 9; ++i) image::write_png(here() / "in" / (std::to_string(i) + ".png"), picture(64, 64));
  const Words line{SUMI_BINARY, "a", "--ckpt", "/absent.ckpt", "--init"};
  EXPECT_THAT(told_to_a_terminal(line + Words{"in"}, isolated({})), testing::HasSubstr("checking pictures 9/9"));
  for (const Words& more : {Words{"in", "--quiet"}, Words{"in/1.png"}}) {
    const std::string told = told_to_a_terminal(line + more, isolated({}));
    EXPECT_THAT(told, testing::HasSubstr("/absent.ckpt"));
    EXPECT_THAT(told, testing::Not(testing::HasSubstr("checking")));
  }
}

TEST_F(PicturesTest, NoGivenPictureIsReplaced) {
  for (const char* name : {"in.png", "hint.png"}) image::write_png(here() / name, picture(64, 64));
  image::write_png(here() / "mask.png", box(64, 64, 16, 48, 16, 48));
  fs::create_symlink("in.png", here() / "link.png");
  const Words masked{"--init", "in.png", "--mask", "mask.png"};
  const auto refused = [&](const std::string& file, const Words& more, const std::string& option) {
    for (const char* output : {"-o", "--preview"}) {
      const std::string before = read_bytes(here() / file);
      const Outcome outcome = sumi(Words{"a", output, file, "--quiet", "--ckpt", "/absent.ckpt"} + more);
      EXPECT_EQ(outcome.code, 64) << outcome.err;
      EXPECT_EQ(outcome.err, std::string("sumi: ") + output + " " + file + " would replace the picture of " + option +
                                 "; choose another name\n");
      EXPECT_EQ(read_bytes(here() / file), before);
    }
  };
  refused("in.png", masked, "--init");
  refused("link.png", masked, "--init");
  refused("mask.png", masked, "--mask");
  refused("hint.png", {"--control", "canny.pth:hint.png"}, "--control");
  ASSERT_EQ(sumi(draw(Words{"--W", "64", "--H", "64"} + masked)).code, 0);
  refused("out.png", {"--like", "out.png"}, "--like");
  refused("in.png", {"--like", "out.png"}, "--init");  // found by its name
  fs::create_directory(here() / "in");
  fs::rename(here() / "hint.png", here() / "in/one.png");
  const Outcome outcome = sumi({"a", "--init", "in", "--preview", "in/one.png", "--ckpt", "/absent.ckpt"});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_THAT(outcome.err, testing::HasSubstr("--preview in/one.png would replace the picture of --init"));
}

TEST_F(PicturesTest, TheReportHasEachPicturesOwnSize) {
  image::write_png(here() / "in.png", picture(72, 64));
  const auto report = [&](const Words& more) {
    const Outcome outcome = sumi(draw(Words{"--json"} + more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  auto json = report({"--W", "64", "--H", "72", "--hires", "1.5"});
  EXPECT_EQ(json["width"], 64);
  EXPECT_EQ(json["images"][0]["width"], 96);
  EXPECT_EQ(json["images"][0]["height"], 104);
  EXPECT_FALSE(json["images"][0].contains("init"));
  json = report({"--init", "in.png", "--extend", "5,0,0,0"});
  EXPECT_EQ(json["images"][0]["width"], 77);
  EXPECT_EQ(json["images"][0]["height"], 64);
  EXPECT_EQ(json["images"][0]["init"], "in.png");
}

}  // namespace
}  // namespace sumi::test
