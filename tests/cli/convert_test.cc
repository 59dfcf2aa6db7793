// sumi convert, and models found without being named.
#include "io/checkpoint.h"
#include "models/config.h"
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

TEST(Convert, WritesAModelThatDrawsThePictureOfTheOther) {
  const TempFolder folder;
  const fs::path model = synthetic_model({.dtype = DType::kF32, .format = tools::CheckpointFormat::kDiffusers});
  const std::string half = (folder / "half.safetensors").string();
  const Outcome converted =
      run_program({SUMI_BINARY, "convert", "--ckpt", model.string(), "--dtype", "f16", "--out", half});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const auto file = io::open_checkpoint(half);
  for (const io::TensorInfo& info : file->tensors()) EXPECT_NE(info.dtype, DType::kF32) << info.name;
  EXPECT_EQ(models::config_for(*file, {}), models::config_from_diffusers(model))
      << "the folder's configuration came along";
  const auto draw = [&](const std::string& ckpt, const std::string& out) {
    const Outcome drawn =
        run_program({SUMI_BINARY, "a fox", "--ckpt", ckpt, "--tokenizer", byte_tokenizer().string(), "--dtype", "f16",
                     "--seed", "3", "--steps", "3", "--width", "64", "--height", "64", "-o", (folder / out).string()});
    EXPECT_EQ(drawn.code, 0) << drawn.err;
    return image::read_png(folder / out).image;
  };
  EXPECT_EQ(draw(model.string(), "a.png"), draw(half, "b.png"));
}

// A GGUF file draws, byte for byte, what the model draws with weights of that type.
TEST(Convert, WritesGgufInEveryType) {
  const TempFolder folder;
  const fs::path model = synthetic_model({.dtype = DType::kF32, .format = tools::CheckpointFormat::kDiffusers});
  const auto draw = [&](const std::string& ckpt, const Words& more) {
    const Outcome drawn =
        run_program(Words{SUMI_BINARY, "a fox", "--ckpt", ckpt, "--tokenizer", byte_tokenizer().string(), "--seed", "3",
                          "--steps", "3", "--width", "64", "--height", "64", "-o", (folder / "a.png").string()} +
                    more);
    EXPECT_EQ(drawn.code, 0) << drawn.err;
    return image::read_png(folder / "a.png").image;
  };
  for (const std::string type : {"f32", "f16", "bf16", "q8_0", "q4_0"}) {
    const std::string out = (folder / (type + ".gguf")).string();
    const Outcome converted =
        run_program({SUMI_BINARY, "convert", "--ckpt", model.string(), "--dtype", type, "--out", out});
    ASSERT_EQ(converted.code, 0) << converted.err;
    const auto file = io::open_checkpoint(out);
    EXPECT_EQ(file->format(), "GGUF");
    EXPECT_EQ(models::config_for(*file, {}), models::config_from_diffusers(model));
    int64_t of_the_type = 0;
    for (const io::TensorInfo& info : file->tensors()) of_the_type += name_of(info.dtype) == type ? 1 : 0;
    EXPECT_GT(of_the_type, static_cast<int64_t>(file->tensors().size()) / 4) << type;
    EXPECT_EQ(draw(out, {}), draw(model.string(), {"--dtype", type})) << type;
  }
  // Convolutions in another type, for programs that cannot read them in blocks.
  const std::string out = (folder / "c.gguf").string();
  ASSERT_EQ(run_program({SUMI_BINARY, "convert", "--ckpt", model.string(), "--dtype", "q8_0", "--convolutions", "f16",
                         "--out", out})
                .code,
            0);
  const auto file = io::open_checkpoint(out);
  for (const io::TensorInfo& info : file->tensors()) {
    if (info.shape.rank() == 4) EXPECT_EQ(info.dtype, DType::kF16) << info.name;
  }
  for (const auto& [key, value] : file->metadata()) EXPECT_FALSE(key.starts_with("comfy.gguf.orig_shape")) << key;
  draw(out, {});
  const Outcome refused = run_program(
      {SUMI_BINARY, "convert", "--ckpt", model.string(), "--dtype", "q4_K", "--out", (folder / "k.gguf").string()});
  EXPECT_EQ(refused.code, 64) << refused.err;
  EXPECT_FALSE(fs::exists(folder / "k.gguf"));
}

TEST(Convert, RefusesWhatCannotBe) {
  const TempFolder folder;
  const std::string model = synthetic_model().string();
  const auto refused = [&](const Words& words, int code, const char* text) {
    const Outcome outcome = run_program(Words{SUMI_BINARY, "convert"} + words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  };
  refused({"--out", (folder / "x.safetensors").string()}, 64, "--ckpt");
  refused({"--ckpt", model, "--dtype", "q8_0", "--out", (folder / "x.safetensors").string()}, 64, "no type q8_0");
  refused({"--ckpt", model, "--dtype", "f16", "--convolutions", "f16", "--out", (folder / "x.gguf").string()}, 64,
          "--convolutions is for");
  refused({"--ckpt", model, "--dtype", "q8_0", "--convolutions", "q4_0", "--out", (folder / "x.gguf").string()}, 64,
          "not q4_0");
  refused({"--ckpt", model, "--out", model}, 64, "the model itself");
  refused({"--ckpt", model, "--out", (folder / "none/x.safetensors").string()}, 64, "none");
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(ListModels, TellsWhereAModelComesFrom) {
  const TempFolder folder;
  fs::create_directories(folder / "models");
  setenv("SUMI_HOME", folder.path().c_str(), 1);
  const Outcome converted =
      run_program({SUMI_BINARY, "convert", "--ckpt", synthetic_model().string(), "--about", "made up for tests",
                   "--out", (folder / "models" / "mine.safetensors").string()});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const Outcome listed = run_program({SUMI_BINARY, "list", "models"});
  unsetenv("SUMI_HOME");
  ASSERT_EQ(listed.code, 0) << listed.err;
  EXPECT_NE(listed.out.find("mine.safetensors"), std::string::npos) << listed.out;
  EXPECT_NE(listed.out.find("made up for tests"), std::string::npos) << listed.out;
}

}  // namespace
}  // namespace sumi::test
