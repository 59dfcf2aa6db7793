// sumi eval: measures a model against a folder of captioned pictures.
#include <nlohmann/json.hpp>

#include "io/safetensors.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/random_clip.h"
#include "text/clip_tokenizer.h"

namespace sumi::test {
namespace {

Words evaluate(const fs::path& data) {
  return {SUMI_BINARY,   "eval",
          "--ckpt",      synthetic_model({.format = tools::CheckpointFormat::kDiffusers}).string(),
          "--tokenizer", byte_tokenizer().string(),
          "--data",      data.string(),
          "--count",     "3",
          "--steps",     "2",
          "--width",     "64",
          "--height",    "64",
          "--json",      "--quiet"};
}

TEST(Eval, TellsWhatItMeasured) {
  const TempFolder folder;
  write_pictures(folder / "data", 4, 64, 64);
  const Outcome outcome = run_program(evaluate(folder / "data"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto told = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(told["drawn"], 3);
  EXPECT_EQ(told["references"], 4);
  EXPECT_GE(told["top5"], told["top1"]);
  EXPECT_EQ(told["top5"], 1.0) << "of four references every one is among the nearest five";
  EXPECT_GT(told["kernel_distance"], 0.0);
  EXPECT_FALSE(told.contains("clip_score"));
}

TEST(Eval, SaysThatCaptionsAreCut) {
  const TempFolder folder;
  write_pictures(folder / "data", 2, 64, 64);
  for (const auto& entry : fs::directory_iterator(folder / "data")) {
    if (entry.path().extension() == ".txt")
      write_file(entry.path(), entry.path().stem().string() + std::string(200, 'a'));
  }
  Words words = evaluate(folder / "data");
  words.pop_back();  // not quiet
  const Outcome outcome = run_program(words);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("warning: the last "), std::string::npos) << outcome.err;
}

TEST(Eval, AsksAClipModel) {
  const TempFolder folder;
  write_pictures(folder / "data", 2, 64, 64);
  for (const char* file : {"vocab.json", "merges.txt"}) fs::copy_file(byte_tokenizer() / file, folder / file);
  RandomClip(text::ClipTokenizer::load(byte_tokenizer()).vocab_size()).write(folder / "clip.safetensors");
  const Outcome outcome =
      run_program(evaluate(folder / "data") + Words{"--clip", (folder / "clip.safetensors").string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const double score = nlohmann::json::parse(outcome.out)["clip_score"];
  EXPECT_GE(score, 0.0);
  EXPECT_LE(score, 100.0);
}

TEST(Eval, RefusesWhatIsNoClipModel) {
  const TempFolder folder;
  write_pictures(folder / "data", 2, 64, 64);
  io::write_safetensors(folder / "clip.safetensors", {{"text_model.x", random({2, 2})}});
  for (const char* file : {"vocab.json", "merges.txt"}) fs::copy_file(byte_tokenizer() / file, folder / file);
  const Outcome outcome =
      run_program(evaluate(folder / "data") + Words{"--clip", (folder / "clip.safetensors").string()});
  EXPECT_EQ(outcome.code, 65) << outcome.err;
  EXPECT_NE(outcome.err.find("CLIPModel"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sumi::test
