// sumi probe resample, probe watermark and watermark.
#include "tests/cli/cli_fixture.h"

#include <nlohmann/json.hpp>

#include "image/png.h"
#include "io/safetensors.h"
#include "tests/support/made_jpeg.h"
#include "tests/support/relative_l2.h"

namespace sumi::test {
namespace {

std::string data(const std::string& name) { return std::string(SUMI_TEST_DATA) + "/" + name; }

class PixelsTest : public CliTest {
 protected:
  void run(const Words& arguments) const {
    const Outcome outcome = sumi(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  std::shared_ptr<io::Checkpoint> read(const std::string& name) const { return io::open_checkpoint(here() / name); }

  // Every vector but the inputs was written, with the same values: bytes are equal, floats to rounding.
  static void expect_all(const io::Checkpoint& got, const io::Checkpoint& want) {
    for (const io::TensorInfo& info : want.tensors()) {
      if (info.name == "torch_x" || info.name == "pillow_rgb" || info.name == "pillow_gray") continue;
      ASSERT_TRUE(got.has(info.name)) << info.name;
      const Tensor a = got.tensor(info.name), b = want.tensor(info.name);
      ASSERT_EQ(a.shape(), b.shape()) << info.name;
      ASSERT_EQ(a.dtype(), b.dtype()) << info.name;
      if (info.dtype == DType::kF32) {
        EXPECT_LE(relative_l2(a, b), 1e-6) << info.name;
      } else {
        EXPECT_TRUE(same_bytes(a, b)) << info.name;
      }
    }
  }
};

TEST_F(PixelsTest, ResamplingMakesWhatTheFileNames) {
  const auto vectors = io::open_checkpoint(data("resample.safetensors"));
  run({"probe", "resample", "--in", data("resample.safetensors"), "--out", "out.safetensors"});
  expect_all(*read("out.safetensors"), *vectors);
  // The inputs alone: the same sizes by default.
  io::write_safetensors(here() / "in.safetensors", {{"torch_x", vectors->tensor("torch_x")},
                                                    {"pillow_rgb", vectors->tensor("pillow_rgb")},
                                                    {"pillow_gray", vectors->tensor("pillow_gray")}});
  run({"probe", "resample", "--in", "in.safetensors", "--out", "out.safetensors"});
  expect_all(*read("out.safetensors"), *vectors);
  EXPECT_TRUE(read("out.safetensors")->has("pillow_box_gray_13x17"));
}

TEST_F(PixelsTest, ResamplingAtSizesAskedFor) {
  io::write_safetensors(here() / "in.safetensors", {{"torch_x", Tensor::full({1, 2, 6, 4}, 1.0f)}});
  run({"probe", "resample", "--in", "in.safetensors", "--out", "out.safetensors", "--size", "3x8", "--size", "12x8",
       "--scale", "2.5"});
  const auto out = read("out.safetensors");
  EXPECT_EQ(out->tensors().size(), 8u + 8u + 6u);
  EXPECT_EQ(out->tensor("torch_area_3x8").shape(), (Shape{1, 2, 3, 8}));
  EXPECT_EQ(out->tensor("torch_bicubic_antialias_scale2.5").shape(), (Shape{1, 2, 15, 10}));
}

TEST_F(PixelsTest, ResamplingRefusesInASentence) {
  io::write_safetensors(here() / "x.safetensors", {{"torch_x", Tensor::zeros({1, 2, 6, 4})}});
  io::write_safetensors(here() / "rgb.safetensors", {{"pillow_rgb", Tensor::zeros({6, 4, 3})}});
  io::write_safetensors(here() / "no.safetensors", {{"x", Tensor::zeros({1, 2, 6, 4})}});
  io::write_safetensors(here() / "named.safetensors",
                        {{"torch_x", Tensor::zeros({1, 2, 6, 4})}, {"pillow_box_3x3", Tensor::zeros({3, 3, 3})}});
  const auto refused = [&](const std::string& in, const Words& more, int code, const std::string& part) {
    const Outcome outcome =
        sumi(Words{"probe", "resample", "--in", in + ".safetensors", "--out", "out.safetensors"} + more);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr(part));
    EXPECT_FALSE(fs::exists(here() / "out.safetensors"));
  };
  refused("x", {"--size", "0x4"}, 64, "--size");
  refused("x", {"--size", "4"}, 64, "--size");
  refused("x", {"--scale", "1e9"}, 64, "--scale");
  refused("x", {"--scale", "0.1"}, 65, "sides of 0 and 0");
  refused("rgb", {}, 65, "must be u8 [H,W,3]");
  refused("no", {}, 65, "torch_x");
  refused("named", {}, 65, "\"pillow_rgb\", which is missing");
}

TEST_F(PixelsTest, WatermarksEqualThePackages) {
  run({"probe", "watermark", "--in", data("watermark.safetensors"), "--out", "out.safetensors"});
  const auto got = read("out.safetensors");
  const auto want = io::open_checkpoint(data("watermark.safetensors"));
  for (const char* name : {"decoded0", "decoded1", "decoded_unmarked0", "decoded_unmarked1", "sdxl_decoded"})
    EXPECT_TRUE(same_bytes(got->tensor(name), want->tensor(name))) << name;
  EXPECT_LE(relative_l2(got->tensor("sdxl_out_rows_96_104"), want->tensor("sdxl_out_rows_96_104")), 1e-6);
  EXPECT_EQ(got->tensor("out1").shape(), (Shape{290, 333, 3}));
  // Bits and pictures as tensors, or by options.
  const image::Image picture = image::read_png(data("watermark_in1.png")).image;
  io::write_safetensors(
      here() / "in.safetensors",
      {{"bits", want->tensor("bits")}, {"in0", Tensor::from(picture.pixels, {picture.height, picture.width, 3})}});
  run({"probe", "watermark", "--in", "in.safetensors", "--out", "a.safetensors"});
  EXPECT_TRUE(same_bytes(read("a.safetensors")->tensor("out0"), got->tensor("out1")));
  io::write_safetensors(here() / "in.safetensors", {{"other", Tensor::zeros({1})}});
  run({"probe", "watermark", "--in", "in.safetensors", "--out", "a.safetensors", "--picture", data("watermark_in1.png"),
       "--sdxl-picture", data("watermark_sdxl_in.png")});
  EXPECT_TRUE(same_bytes(read("a.safetensors")->tensor("out0"), got->tensor("out1")));
  EXPECT_TRUE(same_bytes(read("a.safetensors")->tensor("sdxl_out"), got->tensor("sdxl_out")));
  const Outcome outcome = sumi({"probe", "watermark", "--in", "in.safetensors", "--out", "b.safetensors"});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_THAT(outcome.err, testing::HasSubstr("--picture"));
}

TEST_F(PixelsTest, AWatermarkIsWrittenAndFound) {
  const std::string plain = data("watermark_in0.png");
  Outcome outcome = sumi({"watermark", plain});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, testing::HasSubstr("none (StableDiffusionV1: 50.0% of 136 bits agree, SDXL: "));
  run({"watermark", plain, "--write", "marked.png"});
  outcome = sumi({"watermark", "marked.png"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "marked.png: StableDiffusionV1 (100.0% of 136 bits agree)\n");
  outcome = sumi({"watermark", "--json", "marked.png", plain});
  EXPECT_EQ(outcome.code, 1);
  const auto json = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["watermark"], "StableDiffusionV1");
  EXPECT_EQ(json[0]["looked_for"][0]["agreeing"], 136);
  EXPECT_TRUE(json[1]["watermark"].is_null());
  run({"watermark", plain, "--write", "mine.png", "--text", "my own"});
  EXPECT_EQ(sumi({"watermark", "mine.png"}).code, 1);
  EXPECT_EQ(sumi({"watermark", "mine.png", "--text", "my own"}).code, 0);
}

TEST_F(PixelsTest, TextsBesideThePictureStay) {
  const image::Image picture = image::read_png(data("watermark_in1.png")).image;
  const std::vector<image::PngText> texts{{"parameters", "a cat\nSteps: 2"}, {"prompt", "{}"}, {"Author", "Ren\u00e9"}};
  image::write_png(here() / "a.png", picture, texts);
  run({"watermark", "a.png", "--write", "a.png"});
  EXPECT_EQ(image::read_png(here() / "a.png").texts, texts);
  // A saturated picture keeps enough of the bits.
  const Outcome outcome = sumi({"watermark", "a.png"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, testing::HasSubstr("78.7%"));
}

// One that cannot be used does not keep the others from being looked at.
TEST_F(PixelsTest, EveryFileIsReported) {
  const std::string plain = data("watermark_in0.png"), small = data("img2img_tiny_init_a.png");
  run({"watermark", plain, "--write", "marked.png"});
  write_file(here() / "text.png", "no picture");
  Outcome outcome = sumi({"watermark", small, "marked.png"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, small + ": none (too small: 192x128; a watermark takes 65536 pixels or more)\n" +
                             "marked.png: StableDiffusionV1 (100.0% of 136 bits agree)\n");
  outcome = sumi({"watermark", "text.png", small, "absent.png", "marked.png"});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_THAT(outcome.err, testing::StartsWith("sumi: text.png is not a picture"));
  EXPECT_THAT(outcome.err, testing::HasSubstr("\nsumi: absent.png is not a file"));
  EXPECT_THAT(outcome.out, testing::EndsWith("marked.png: StableDiffusionV1 (100.0% of 136 bits agree)\n"));
  outcome = sumi({"watermark", "--json", "text.png", small, "marked.png"});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_EQ(outcome.err, "");
  const auto json = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(json.size(), 3u);
  EXPECT_THAT(json[0]["error"].get<std::string>(), testing::StartsWith("text.png is not a picture"));
  EXPECT_TRUE(json[0]["watermark"].is_null());
  EXPECT_FALSE(json[1].contains("error"));
  EXPECT_EQ(json[1]["too_small"], true);
  EXPECT_TRUE(json[1]["watermark"].is_null());
  EXPECT_EQ(json[2]["watermark"], "StableDiffusionV1");
}

// Of other kinds of files too: the settings, from Exif.
TEST_F(PixelsTest, TextsOfAJpegStay) {
  const image::Image picture = image::read_png(data("watermark_in0.png")).image;
  const std::string comment = std::string("ASCII\0\0\0a cat", 13);
  // A directory whose one entry is the comment.
  std::string exif("Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x86\x92\x07\0\x0d\0\0\0\x1a\0\0\0\0\0\0\0", 32);
  exif += comment;
  const auto with_exif = [&](jpeg_compress_struct& jpeg) {
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  };
  write_file(here() / "a.jpg", made_jpeg({.width = picture.width,
                                          .height = picture.height,
                                          .row = [&](int64_t y) { return picture.row(y); },
                                          .begun = with_exif}));
  run({"watermark", "a.jpg", "--write", "marked.png"});
  EXPECT_EQ(image::read_png(here() / "marked.png").texts, (std::vector<image::PngText>{{"parameters", "a cat"}}));
}

TEST_F(PixelsTest, WatermarksRefuseInASentence) {
  expect_refused({"watermark", data("img2img_tiny_init_a.png"), "--write", "a.png"}, 65, "fewer than 65536 pixels");
  expect_refused({"watermark", "absent.png"}, 66, "absent.png");
  expect_refused({"watermark", "absent.png", "--write", "a.png"}, 66, "absent.png");
  expect_refused({"watermark"}, 64, "files");
  const std::string plain = data("watermark_in1.png");
  expect_refused({"watermark", plain, "--text", "ab"}, 64, "3 to 128 bytes");
  expect_refused({"watermark", plain, plain, "--write", "a.png"}, 64, "--write takes one picture");
  expect_refused({"watermark", plain, "--write", "a.jpg"}, 64, ".png");
}

}  // namespace
}  // namespace sumi::test
