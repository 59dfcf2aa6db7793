// sumi upscale and sumi probe upscale: pictures and files of models as people have them.
#include "image/metadata.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/relative_l2.h"
#include "tests/support/upscaler_files.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

class UpscaleCli : public CliTest {
 protected:
  void SetUp() override {
    io::write_safetensors(x4_, tiny_upscaler("x4"));
    write_pth(x2_, tiny_upscaler("x2"), "params_ema");
    Image picture(20, 14);
    for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<uint8_t>(i * 37 % 251);
    image::write_png(cat_, picture, {{image::kParametersKey, "a cat\nSteps: 20, Size: 20x14"}, {"Comment", "mine"}});
  }

  static std::pair<int64_t, int64_t> size_of(const fs::path& file) {
    const Image picture = image::read_png(file).image;
    return {picture.width, picture.height};
  }

  TempFolder files_;
  const fs::path x4_ = files_ / "x4.safetensors", x2_ = files_ / "x2.pth", cat_ = files_ / "cat.png";
};

TEST_F(UpscaleCli, WritesAPictureWithItsSettings) {
  const Outcome outcome = sumi({"upscale", cat_.string(), "--model", x4_.string(), "-o", "large.png"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "large.png\n");
  const image::Png large = image::read_png(here() / "large.png");
  EXPECT_EQ(large.image.width, 80);
  EXPECT_EQ(large.image.height, 56);
  EXPECT_EQ(large.texts,
            (std::vector<image::PngText>{{"parameters", "a cat\nSteps: 20, Size: 20x14"}, {"Comment", "mine"}}));
  // The same bytes with any number of threads, and in tiles all but the same picture.
  for (const char* threads : {"1", "3"}) {
    ASSERT_EQ(sumi({"upscale", cat_.string(), "--model", x4_.string(), "-o", "again.png", "--threads", threads}).code,
              0);
    EXPECT_EQ(read_bytes(here() / "again.png"), read_bytes(here() / "large.png"));
  }
  ASSERT_EQ(sumi({"upscale", cat_.string(), "--model", x4_.string(), "-o", "tiles.png", "--tile", "16"}).code, 0);
  const Image tiles = image::read_png(here() / "tiles.png").image;
  for (size_t i = 0; i < tiles.pixels.size(); ++i) ASSERT_NEAR(tiles.pixels[i], large.image.pixels[i], 1);
}

TEST_F(UpscaleCli, ScalesToWhatIsWanted) {
  const auto size = [&](const Words& words) {
    const Outcome outcome = sumi(Words{"upscale", cat_.string(), "-o", "out.png"} + words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return size_of(here() / "out.png");
  };
  const auto expect = [&](const Words& words, int64_t width, int64_t height) {
    EXPECT_EQ(size(words), std::pair(width, height));
  };
  expect({"--model", x2_.string()}, 40, 28);
  expect({"--model", x2_.string(), "--scale", "1.5"}, 30, 21);
  expect({"--model", x2_.string(), "--scale", "5", "--resampler", "bicubic"}, 100, 70);  // the network three times
  expect({"--model", x4_.string(), "--scale", "0.5"}, 10, 7);
  expect({"--resampler", "nearest", "--scale", "2"}, 40, 28);
  const Image twice = image::read_png(here() / "out.png").image, once = image::read_png(cat_).image;
  EXPECT_EQ(twice.row(27)[3 * 39 + 1], once.row(13)[3 * 19 + 1]);
  expect({"--resampler", "Lanczos", "--scale", "2.04"}, 41, 29);
}

TEST_F(UpscaleCli, NamesResultsAfterThePictures) {
  fs::copy_file(cat_, here() / "dog.png");
  fs::copy_file(cat_, here() / "bird.png");
  const Outcome beside = sumi({"upscale", "dog.png", "--model", x4_.string(), "--quiet"});
  ASSERT_EQ(beside.code, 0) << beside.err;
  EXPECT_EQ(beside.out, "dog_4x.png\n");
  EXPECT_EQ(beside.err, "");
  const Outcome folder =
      sumi({"upscale", "dog.png", "bird.png", "--outdir", "large/all", "--scale", "2", "--resampler", "bicubic"});
  ASSERT_EQ(folder.code, 0) << folder.err;
  EXPECT_EQ(folder.out, "large/all/dog.png\nlarge/all/bird.png\n");
  EXPECT_EQ(names_in(here() / "large/all"), (Words{"bird.png", "dog.png"}));
  EXPECT_EQ(size_of(here() / "large/all/bird.png"), std::pair(int64_t{40}, int64_t{28}));
}

TEST_F(UpscaleCli, ReplacesNoFileThatWasNotNamed) {
  fs::copy_file(cat_, here() / "dog.png");
  const Words dog{"upscale", "dog.png", "--resampler", "nearest", "--scale", "2"};
  write_file(here() / "dog_2x.png", "mine");
  write_file(here() / "all/dog.png", "mine");
  EXPECT_EQ(sumi(dog).out, "dog_2x-2.png\n");
  EXPECT_EQ(sumi(dog).out, "dog_2x-3.png\n");
  EXPECT_EQ(sumi(dog + Words{"--outdir", "all"}).out, "all/dog-2.png\n");
  EXPECT_EQ(read_bytes(here() / "dog_2x.png"), "mine");
  EXPECT_EQ(read_bytes(here() / "all/dog.png"), "mine");
  EXPECT_EQ(size_of(here() / "dog_2x-3.png"), std::pair(int64_t{40}, int64_t{28}));
  EXPECT_EQ(size_of(here() / "all/dog-2.png"), std::pair(int64_t{40}, int64_t{28}));
  // The file of -o is replaced.
  EXPECT_EQ(sumi(dog + Words{"-o", "dog_2x.png"}).out, "dog_2x.png\n");
  EXPECT_EQ(size_of(here() / "dog_2x.png"), std::pair(int64_t{40}, int64_t{28}));
}

TEST_F(UpscaleCli, RefusesWordsThatDoNotFit) {
  const Words upscale{"upscale", cat_.string()}, with_model = upscale + Words{"--model", x4_.string()};
  expect_refused({"upscale"}, 64, "files");
  expect_refused(upscale, 64, "--model");
  expect_refused(upscale + Words{"--resampler", "lanczos"}, 64, "--scale");
  expect_refused(upscale + Words{"--resampler", "sharp", "--scale", "2"}, 64, "sharp");
  expect_refused(with_model + Words{"--scale", "0"}, 64, "--scale");
  expect_refused(with_model + Words{"--scale", "nan"}, 64, "--scale");
  expect_refused(with_model + Words{"--tile", "3"}, 64, "--tile");
  expect_refused(upscale + Words{"--resampler", "box", "--scale", "2", "--tile", "64"}, 64, "--tile");
  expect_refused(with_model + Words{"-o", "a.png", "--outdir", "b"}, 64, "--outdir");
  expect_refused(with_model + Words{"-o", "a.jpg"}, 64, "a.jpg");
  expect_refused(with_model + Words{"-o", "nowhere/a.png"}, 64, "nowhere");
  expect_refused(with_model + Words{cat_.string(), "-o", "a.png"}, 64, "--outdir");
  expect_refused(with_model + Words{cat_.string(), "--outdir", "b"}, 64, "would both become");
  expect_refused(with_model + Words{"-o", cat_.string()}, 64, "would replace this picture");
  expect_refused(with_model + Words{"--outdir", files_.path().string()}, 64, "would replace this picture");
  EXPECT_EQ(size_of(cat_), std::pair(int64_t{20}, int64_t{14}));
}

TEST_F(UpscaleCli, RefusesFilesThatAreNoneOfTheirKind) {
  const Words to{"-o", "a.png"};
  const auto model = [&](const fs::path& file) {
    return Words{"upscale", cat_.string(), "--model", file.string()} + to;
  };
  expect_refused(model(files_ / "nowhere.pth"), 66, "nowhere.pth");
  expect_refused(model(cat_), 65, "neither a safetensors file nor a torch checkpoint");
  expect_refused(model(synthetic_model()), 65, "a diffusion model");
  io::write_safetensors(files_ / "other.safetensors", {{"layers.0.residual_group.x", Tensor::zeros({2})}});
  expect_refused(model(files_ / "other.safetensors"), 65, "SwinIR");
  for (const fs::path& whole : {x4_, x2_}) {
    const std::string bytes = read_bytes(whole);
    for (const size_t size : {bytes.size() - 50, bytes.size() / 2, size_t{100}, size_t{0}}) {
      write_file(files_ / "cut", bytes.substr(0, size));
      expect_refused(model(files_ / "cut"), 65, "cut");
    }
  }
  expect_refused({"upscale", x4_.string(), "--model", x4_.string(), "-o", "a.png"}, 65, "x4.safetensors");
  expect_refused({"upscale", "nowhere.png", "--model", x4_.string(), "-o", "a.png"}, 66, "nowhere.png");
  write_file(files_ / "cut.png", read_bytes(cat_).substr(0, 90));
  expect_refused({"upscale", cat_.string(), (files_ / "cut.png").string(), "--model", x4_.string(), "--outdir", "all"},
                 65, "cut.png");
}

TEST_F(UpscaleCli, RefusesResultsThatAreTooLarge) {
  const fs::path wide = files_ / "wide.png";
  image::write_png(wide, Image(3000, 2000));
  const Words words{"upscale", wide.string(), "-o", "a.png"};
  expect_refused(words + Words{"--model", x4_.string()}, 64, "12000x8000, 96.0 million; at most 67.1 million");
  expect_refused(words + Words{"--resampler", "box", "--scale", "4"}, 64, "96.0 million");
  // On the way to it too.
  expect_refused(words + Words{"--model", x2_.string(), "--scale", "3.1"}, 64, "96.0 million");
  expect_refused(words + Words{"--resampler", "box", "--scale", "0.0001"}, 64, "less than a pixel");
}

TEST_F(UpscaleCli, StopsWithoutATrace) {
  const fs::path large = files_ / "large.png";
  image::write_png(large, Image(900, 900));
  Child child({SUMI_BINARY, "upscale", large.string(), "--model", x4_.string(), "-o", "a.png", "--threads", "1"},
              isolated({}));
  ASSERT_TRUE(child.wait_until([&] { return child.cpu_seconds() > 0.6; }));
  child.send(SIGINT);
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("stopped"));
  EXPECT_THAT(names_in(here()), testing::IsEmpty());
}

TEST_F(UpscaleCli, ProbeRunsEveryInput) {
  const std::string golden = std::string(SUMI_TEST_DATA) + "/upscaler/tiny.safetensors";
  const auto vectors = io::open_checkpoint(golden);
  for (const auto& [kind, model] : {std::pair{"x4", x4_}, {"x2", x2_}}) {
    const Outcome outcome = sumi({"probe", "upscale", "--model", model.string(), "--in", golden, "--out", "out"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto results = io::open_checkpoint(here() / "out");
    EXPECT_EQ(results->tensors().size(), 6u);
    for (const char* k : {"0", "1"}) {
      const std::string name = std::string(kind) + "_out" + k;
      EXPECT_LT(relative_l2(results->tensor(name), vectors->tensor(name)), 2e-6) << name;
    }
    fs::remove(here() / "out");
  }
  io::write_safetensors(files_ / "none", {{"x0", Tensor::zeros({1, 3, 4, 4})}});
  const Words probe{"probe", "upscale", "--model", x4_.string(), "--out", "out", "--in"};
  expect_refused(probe + Words{(files_ / "none").string()}, 65, "ends in \"in\"");
  io::write_safetensors(files_ / "gray", {{"in0", Tensor::zeros({1, 1, 4, 4})}});
  expect_refused(probe + Words{(files_ / "gray").string()}, 65, "1 channels");
}

}  // namespace
}  // namespace sumi::test
