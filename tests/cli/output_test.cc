// Output files: layout, numbering, grid, metadata; outputs that cannot be written. Bad-input items 140, 144 to 146,
// 149.
#include "tests/cli/cli_fixture.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "image/grid.h"

namespace sumi::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string parameters_of(const fs::path& file) {
  for (const auto& [key, text] : image::read_png(file).texts) {
    if (key == "parameters") return text;
  }
  return "";
}

TEST_F(CliTest, LayoutNumbersAndGrid) {
  const Words line =
      Words{"txt2img", "--prompt", "a cat", "--outdir", "out/deep", "--n_samples", "2", "--n_iter", "2"} + small() +
      model();
  const Outcome first = sumi(line);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("of memory"));
  EXPECT_THAT(names_in(here() / "out/deep"), ElementsAre("grid-0000.png", "samples"));
  const fs::path samples = here() / "out/deep/samples";
  EXPECT_THAT(names_in(samples), ElementsAre("00000.png", "00001.png", "00002.png", "00003.png"));
  EXPECT_EQ(first.out,
            "out/deep/samples/00000.png\nout/deep/samples/00001.png\nout/deep/samples/00002.png\n"
            "out/deep/samples/00003.png\nout/deep/grid-0000.png\n");
  std::vector<image::Image> pictures;
  for (const std::string& name : names_in(samples)) pictures.push_back(image::read_png(samples / name).image);
  EXPECT_EQ(image::read_png(here() / "out/deep/grid-0000.png").image, image::make_grid(pictures, 2));
  EXPECT_NE(pictures[0], pictures[1]);
  EXPECT_NE(pictures[0], pictures[2]);
  const Outcome second = sumi(line);
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(names_in(samples).size(), 8u);
  EXPECT_TRUE(fs::exists(here() / "out/deep/grid-0001.png"));
  EXPECT_EQ(read_bytes(samples / "00000.png"), read_bytes(samples / "00004.png"));
}

TEST_F(CliTest, SidesAreAnyMultipleOfEight) {
  const Outcome outcome = sumi(Words{"txt2img", "--prompt", "a cat", "--n_samples", "1", "--n_iter", "1",
                                     "--ddim_steps", "2", "--W", "72", "--H", "136", "--outdir", "o", "--skip_grid"} +
                               model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const image::Image picture = image::read_png(here() / "o/samples/00000.png").image;
  EXPECT_EQ(picture.width, 72);
  EXPECT_EQ(picture.height, 136);
}

TEST_F(CliTest, SkipsWhatIsNotWanted) {
  const Words line = Words{"txt2img", "--n_samples", "1", "--n_iter", "1", "--outdir", "o"} + small() + model();
  ASSERT_EQ(sumi(line + Words{"--skip_grid"}).code, 0);
  EXPECT_THAT(names_in(here() / "o"), ElementsAre("samples"));
  ASSERT_EQ(sumi(line + Words{"--skip_save"}).code, 0);
  EXPECT_THAT(names_in(here() / "o"), ElementsAre("grid-0000.png", "samples"));
  EXPECT_THAT(names_in(here() / "o/samples"), ElementsAre("00000.png"));
}

TEST_F(CliTest, PromptsFileWithAShortLastBatch) {
  write_file(here() / "prompts.txt", "a cat\r\na dog\n\xc3\xa9t\xc3\xa9");
  const Outcome outcome = sumi(Words{"txt2img", "--from-file", "prompts.txt", "--n_samples", "2", "--n_iter", "1",
                                     "--outdir", "o", "--fixed_code", "--json", "--quiet"} +
                               small() + model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const auto json = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(json["images"].size(), 3u);
  EXPECT_EQ(json["images"][2]["prompt"], "\xc3\xa9t\xc3\xa9");
  EXPECT_EQ(json["images"][1]["file"], "o/samples/00001.png");
  EXPECT_EQ(json["images"][1]["seed"], 42);
  EXPECT_EQ(json["grids"].size(), 1u);
  EXPECT_GT(json["seconds"].get<double>(), 0.0);
  // Two rows of two, the last place black: 64 pixels and gutters of 2.
  const image::Image grid = image::read_png(here() / "o/grid-0000.png").image;
  EXPECT_EQ(grid.width, 134);
  EXPECT_EQ(grid.height, 134);
}

TEST_F(CliTest, ShortFormWritesOneFileWithItsParameters) {
  const Outcome outcome =
      sumi(Words{"a (red:1.3) fox", "-o", "fox.png", "--seed", "7", "--negative-prompt", "blurry"} + small() + model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "fox.png\n");
  EXPECT_THAT(names_in(here()), ElementsAre("fox.png"));
  const std::string text = parameters_of(here() / "fox.png");
  EXPECT_THAT(text, testing::StartsWith("a (red:1.3) fox\nNegative prompt: blurry\nSteps: 2, Sampler: DPM++ 2M"));
  EXPECT_THAT(text, HasSubstr("Schedule type: Karras, CFG scale: 7.5, Seed: 7, Size: 64x64, RNG: CPU, Config: "
                              "tiny.yaml, Model: tiny-f32, Version: sumi "));
}

TEST_F(CliTest, ShortFormNamesTheFileItself) {
  const Words line = Words{"A Cat, in the snow!", "--seed", "7"} + small() + model();
  EXPECT_EQ(sumi(line).out, "a-cat-in-the-snow-7.png\n");
  EXPECT_EQ(sumi(line).out, "a-cat-in-the-snow-7-2.png\n");
  EXPECT_THAT(names_in(here()), ElementsAre("a-cat-in-the-snow-7-2.png", "a-cat-in-the-snow-7.png"));
}

TEST_F(CliTest, AliasesOfOthersChooseTheirSchedule) {
  ASSERT_EQ(sumi(Words{"a cat", "-o", "a.png", "--sampler", "Euler a", "--seed", "1"} + small() + model()).code, 0);
  EXPECT_THAT(parameters_of(here() / "a.png"), HasSubstr("Sampler: Euler a"));
  ASSERT_EQ(sumi(Words{"a cat", "-o", "b.png", "--sampler", "DPM++ 2M Karras", "--seed", "1"} + small() + model()).code,
            0);
  ASSERT_EQ(sumi(Words{"a cat", "-o", "c.png", "--seed", "1"} + small() + model()).code, 0);
  EXPECT_EQ(read_bytes(here() / "b.png"), read_bytes(here() / "c.png"));
}

TEST_F(CliTest, ThePresetSamplerNamedIsThePreset) {
  const Words line = Words{"a cat", "--seed", "1"} + small() + model();
  ASSERT_EQ(sumi(line + Words{"-o", "a.png"}).code, 0);
  ASSERT_EQ(sumi(line + Words{"-o", "b.png", "--sampler", "DPM++ 2M"}).code, 0);
  EXPECT_EQ(read_bytes(here() / "a.png"), read_bytes(here() / "b.png"));
}

TEST_F(CliTest, ParametersTellAllThatMakesThePicture) {
  const Words line = Words{"txt2img",     "--prompt", "a cat", "--outdir", "o",     "--n_iter", "1",
                           "--n_samples", "2",        "--eta", "0.5",      "--rng", "cuda"} +
                     small() + model();
  ASSERT_EQ(sumi(line).code, 0);
  EXPECT_THAT(parameters_of(here() / "o/samples/00001.png"),
              HasSubstr("Sampler: DDIM, Schedule type: Uniform, CFG scale: 7.5, Seed: 42, Size: 64x64, Eta DDIM: 0.5, "
                        "Prompt syntax: exact, RNG: NV, Batch size: 2, Batch pos: 1, Config: tiny.yaml, Model: "));
}

TEST_F(CliTest, TheLatentsSizeIsTheModels) {
  expect_refused(Words{"txt2img", "--f", "4", "--outdir", "o"} + small() + model(), 64,
                 "stand for 8x8 pixels, not 4x4");
  expect_refused(Words{"txt2img", "--C", "3", "--outdir", "o"} + small() + model(), 64, "have 4 channels, not 3");
}

TEST_F(CliTest, NothingIsMadeForAModelThatDoesNotFit) {  // items 97 and 102
  const Outcome outcome =
      sumi({"txt2img", "--outdir", "new/folder", "--ckpt", synthetic_model().string(), "--config",
            std::string(SUMI_TEST_DATA) + "/../../models/emoji/recipe.yaml", "--tokenizer", byte_tokenizer().string()});
  EXPECT_EQ(outcome.code, 65) << outcome.err;
  EXPECT_THAT(names_in(here()), testing::IsEmpty());
}

TEST_F(CliTest, SeedMinusOneIsDrawnAndTold) {  // item 140
  const Words line = Words{"a cat", "-o", "a.png", "--seed", "-1"} + small() + model();
  const Outcome drawn = sumi(line);
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  const size_t at = drawn.err.find("seed: ");
  ASSERT_NE(at, std::string::npos) << drawn.err;
  const std::string seed = drawn.err.substr(at + 6, drawn.err.find('\n', at) - at - 6);
  ASSERT_EQ(sumi(Words{"a cat", "-o", "b.png", "--seed", seed} + small() + model()).code, 0);
  EXPECT_EQ(read_bytes(here() / "a.png"), read_bytes(here() / "b.png"));
  EXPECT_EQ(sumi(Words{"a cat", "-o", "c.png", "--seed", "18446744073709551615"} + small() + model()).code, 0);
}

TEST_F(CliTest, OutputsThatCannotBeAreFoundFirst) {  // items 144 and 145
  expect_refused(Words{"a cat", "-o", "absent/a.png", "--ckpt", "/absent.ckpt"}, 64, "no folder absent");
  expect_refused(Words{"a cat", "-o", "/", "--ckpt", "/absent.ckpt"}, 64, "is a folder");
  expect_refused(Words{"a cat", "-o", "/dev/null", "--ckpt", "/absent.ckpt"}, 64, "not a regular file");
  expect_refused(Words{"a cat", "-o", "a.jpg", "--ckpt", "/absent.ckpt"}, 64, "PNG");
  const Outcome proc = sumi(Words{"txt2img", "--outdir", "/proc/sumi"} + small() + model());
  EXPECT_EQ(proc.code, 73) << proc.err;
  EXPECT_THAT(proc.err, HasSubstr("/proc/sumi"));
  write_file(here() / "taken", "");
  EXPECT_EQ(sumi({"txt2img", "--outdir", "taken", "--ckpt", "/absent.ckpt"}).code, 73);
  EXPECT_EQ(sumi({"txt2img", "--outdir", "taken/deep", "--ckpt", "/absent.ckpt"}).code, 73);
}

TEST_F(CliTest, AnExistingFileIsReplacedWhole) {  // item 146
  write_file(here() / "a.png", "old");
  ASSERT_EQ(sumi(Words{"a cat", "-o", "a.png"} + small() + model()).code, 0);
  EXPECT_EQ(image::read_png(here() / "a.png").image.width, 64);
  EXPECT_THAT(names_in(here()), ElementsAre("a.png"));
}

// An existing name is never replaced, even one that exists() does not see, as a file that another process creates
// between the check and the writing.
TEST_F(CliTest, AFileThatNobodyNamedReplacesNothing) {
  fs::create_directories(here() / "o/samples");
  for (const char* taken : {"o/samples/00001.png", "o/grid-0001.png", "a-cat-7.png"})
    fs::create_symlink("absent", here() / taken);  // numbers start from the number of entries
  const Words rest = small() + model();
  EXPECT_EQ(sumi(Words{"txt2img", "--n_samples", "2", "--n_iter", "1", "--outdir", "o"} + rest).out,
            "o/samples/00002.png\no/samples/00003.png\no/grid-0002.png\n");
  EXPECT_EQ(sumi(Words{"a cat", "--seed", "7"} + rest).out, "a-cat-7-2.png\n");
  EXPECT_TRUE(fs::is_symlink(here() / "o/samples/00001.png"));
  EXPECT_TRUE(fs::is_symlink(here() / "a-cat-7.png"));
}

TEST_F(CliTest, SeveralAtOnceInOneFolderKeepAllPictures) {
  // The files that five processes with the same command line report; none is reported twice.
  const auto told_by_five = [&](const Words& line) {
    std::vector<std::unique_ptr<Child>> runs;
    for (int i = 0; i < 5; ++i) runs.push_back(std::make_unique<Child>(Words{SUMI_BINARY} + line, isolated({})));
    std::set<std::string> told;
    for (const auto& run : runs) {
      const Outcome outcome = run->wait();
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      std::istringstream lines(outcome.out);
      for (std::string file; std::getline(lines, file);) EXPECT_TRUE(told.insert(file).second) << file;
    }
    for (const std::string& file : told) EXPECT_GT(image::read_png(here() / file).image.width, 0) << file;
    return told.size();
  };
  const Words rest = Words{"--threads", "1"} + small() + model();
  EXPECT_EQ(told_by_five(Words{"txt2img", "--n_samples", "1", "--n_iter", "4", "--outdir", "o"} + rest), 5u * (4 + 1));
  EXPECT_EQ(names_in(here() / "o/samples").size(), 20u);
  EXPECT_EQ(names_in(here() / "o").size(), 6u);
  EXPECT_EQ(told_by_five(Words{"a cat", "--seed", "7"} + rest), 5u);
  EXPECT_THAT(names_in(here()),
              ElementsAre("a-cat-7-2.png", "a-cat-7-3.png", "a-cat-7-4.png", "a-cat-7-5.png", "a-cat-7.png", "o"));
}

TEST_F(CliTest, ClosedAndFullStandardOutput) {  // item 149
  const Words line = Words{"a cat", "-o", "a.png"} + small() + model();
  EXPECT_EQ(sumi(line, {.close_stdout = true}).code, 0);
  EXPECT_EQ(image::read_png(here() / "a.png").image.width, 64);
  EXPECT_EQ(sumi({"list", "samplers"}, {.close_stdout = true}).code, 0);
  const Outcome full = sumi({"list", "samplers"}, {.stdout_file = "/dev/full"});
  EXPECT_EQ(full.code, 74);
  EXPECT_THAT(full.err, HasSubstr("standard output"));
  const Outcome gone = run_program({"/bin/sh", "-c", std::string(SUMI_BINARY) + " list samplers | true; exit 0"});
  EXPECT_EQ(gone.code, 0);
  EXPECT_EQ(gone.err, "");
}

TEST_F(CliTest, AGridThatCannotBeWrittenLeavesTheReport) {
  const Words line = Words{"txt2img", "--n_samples", "2", "--n_iter", "2", "--json"} + small() + model();
  ASSERT_EQ(sumi(line + Words{"--outdir", "o"}).code, 0);
  rlim_t largest = 0;
  for (const std::string& name : names_in(here() / "o/samples"))
    largest = std::max<rlim_t>(largest, fs::file_size(here() / "o/samples" / name));
  const rlim_t grid = fs::file_size(here() / "o/grid-0000.png");
  ASSERT_LT(largest, grid);
  const Outcome outcome = sumi(line + Words{"--outdir", "p"}, {.file_size = (largest + grid) / 2});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("grid-0000.png"));
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["images"].size(), 4u);
  EXPECT_EQ(json["grids"].size(), 0u);
}

}  // namespace
}  // namespace sumi::test
