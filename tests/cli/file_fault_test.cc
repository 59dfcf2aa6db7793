// Files that are no files, places that cannot be written to, limits on files, and signals outside of drawing.
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "io/safetensors.h"
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class FileFaultTest : public CliTest {
 protected:
  // As sumi(), but a program that hangs is killed after ten minutes.
  Outcome watched(const Words& arguments, RunOptions options = {}) const {
    Child child(Words{SUMI_BINARY} + arguments, isolated(std::move(options)));
    child.wait_until([] { return false; });
    child.send(SIGKILL);  // nothing to a program that has ended and was not waited for
    return child.wait();
  }

  fs::path pipe_at(const std::string& name) const {
    fs::path path = here() / name;
    fs::create_directories(path.parent_path());
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    return path;
  }

  // One line, no raw words of a library, this exit code.
  static void expect_sentence(const Outcome& outcome, int code, const std::string& shown) {
    EXPECT_EQ(outcome.code, code) << shown << ": " << outcome.err;
    EXPECT_FALSE(outcome.killed) << shown;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << shown << ": " << outcome.err;
    EXPECT_THAT(outcome.err, testing::StartsWith("sumi: ")) << shown;
    EXPECT_THAT(outcome.err, Not(HasSubstr("filesystem error"))) << shown;
  }

  // A checkpoint whose listing is longer than what a pipe holds.
  fs::path many_tensors() const {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (int i = 0; i < 4000; ++i)
      tensors.emplace_back("a.tensor.with.a.long.name.number." + std::to_string(i), Tensor::full({1}, 1.0f));
    fs::path path = here() / "many.safetensors";
    io::write_safetensors(path, tensors);
    return path;
  }
};

TEST_F(FileFaultTest, APipeIsNotReadAsAFile) {
  const std::string pipe = pipe_at("pipe").string();
  pipe_at("tokenizer/vocab.json");
  write_file(here() / "tokenizer/merges.txt", "#version\na b\n");
  pipe_at("folder/model_index.json");
  const Words draw = Words{"txt2img", "--outdir", "o"} + small();
  const std::string ckpt = synthetic_model().string(), config = std::string(SUMI_TEST_DATA) + "/tiny.yaml";
  const std::vector<Words> cases{
      draw + model() + Words{"--from-file", pipe},
      draw + model() + Words{"--lora", pipe},
      draw + Words{"--ckpt", pipe},
      draw + Words{"--ckpt", (here() / "folder").string()},
      draw + Words{"--ckpt", ckpt, "--config", pipe},
      draw + Words{"--ckpt", ckpt, "--config", config, "--tokenizer", (here() / "tokenizer").string()},
      {"inspect", pipe},
      {"convert", "--ckpt", pipe, "--out", "x.safetensors"},
      {"convert", "--ckpt", ckpt, "--out", pipe},
      Words{"probe", "tokens", "--in", pipe, "--out", "x.json"} + model(),
      Words{"probe", "text", "--in", pipe, "--out", "x.safetensors"} + model(),
  };
  for (const Words& words : cases) {
    const Outcome outcome = watched(words);
    EXPECT_GE(outcome.code, 64) << testing::PrintToString(words);
    EXPECT_LE(outcome.code, 74) << testing::PrintToString(words);
    expect_sentence(outcome, outcome.code, testing::PrintToString(words));
  }
  EXPECT_EQ(watched(cases[0]).code, 66);
  EXPECT_FALSE(fs::exists(here() / "o"));
}

TEST_F(FileFaultTest, APromptsFileHasABound) {
  write_file(here() / "prompts", "a cat\n");
  fs::resize_file(here() / "prompts", 5'000'000'000);  // no block of it is on the disk
  const Outcome outcome = watched(Words{"txt2img", "--from-file", "prompts", "--outdir", "o"} + small() + model());
  expect_sentence(outcome, 65, "prompts");
  EXPECT_THAT(outcome.err, HasSubstr("5000000000 bytes"));
  EXPECT_LT(outcome.cpu_seconds, 10.0);
}

TEST_F(FileFaultTest, OneSignalEndsAProgramThatWaits) {
  const fs::path file = many_tensors(), pipe = pipe_at("pipe");
  for (const int signal : {SIGINT, SIGTERM}) {
    const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(reader, 0);
    Child child({SUMI_BINARY, "inspect", "--all", file.string()}, isolated({.stdout_file = pipe.string()}));
    int waiting = 0;
    ASSERT_TRUE(child.wait_until([&] { return ioctl(reader, FIONREAD, &waiting) == 0 && waiting >= 60'000; }));
    child.send(signal);
    child.wait_until([] { return false; });
    child.send(SIGKILL);
    const Outcome outcome = child.wait();
    EXPECT_EQ(outcome.code, 128 + signal);
    EXPECT_FALSE(outcome.killed);
    EXPECT_EQ(outcome.err, "sumi: stopped\n");
    close(reader);
  }
}

TEST_F(FileFaultTest, OneSignalEndsWorkOutsideAJob) {
  Child child(Words{SUMI_BINARY, "bench", "--size", "512", "--repetitions", "1000", "--ckpt",
                    synthetic_model().string(), "--config", std::string(SUMI_TEST_DATA) + "/tiny.yaml"},
              isolated({}));
  ASSERT_TRUE(child.wait_until([&] { return child.cpu_seconds() > 1.0; })) << child.err();
  const double before = child.cpu_seconds();
  child.send(SIGTERM);
  child.wait_until([&] { return child.cpu_seconds() - before > 60.0; });
  child.send(SIGKILL);
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.code, 143);
  EXPECT_FALSE(outcome.killed);
  EXPECT_LT(outcome.cpu_seconds - before, 10.0);
  EXPECT_THAT(outcome.err, HasSubstr("sumi: stopped"));
}

TEST_F(FileFaultTest, ALimitOnFilesIsToldAndLeavesNothing) {
  const std::string ckpt = synthetic_model().string();
  const std::vector<std::pair<rlim_t, Words>> cases{
      {100'000, {"convert", "--ckpt", ckpt, "--out", "x.safetensors"}},
      {1'000, Words{"a red apple", "-o", "x.png", "--quiet"} + small() + model()},
      {1'000, {"probe", "randn", "--seed", "1", "--count", "10000", "--out", "x.safetensors"}},
  };
  for (const auto& [limit, words] : cases) {
    const Outcome outcome = sumi(words, {.file_size = limit});
    EXPECT_EQ(outcome.code, 74) << testing::PrintToString(words) << outcome.err;
    EXPECT_FALSE(outcome.killed) << testing::PrintToString(words);
    EXPECT_THAT(outcome.err, HasSubstr("File too large")) << testing::PrintToString(words);
    EXPECT_THAT(names_in(here()), IsEmpty()) << testing::PrintToString(words);
  }
}

TEST_F(FileFaultTest, ALimitOnFilesHoldsForStandardOutput) {
  const fs::path file = many_tensors();
  write_file(here() / "listing", "");
  const Outcome outcome =
      sumi({"inspect", "--all", file.string()}, {.stdout_file = (here() / "listing").string(), .file_size = 1000});
  expect_sentence(outcome, 74, "inspect");
  EXPECT_THAT(outcome.err, HasSubstr("File too large"));
}

TEST_F(FileFaultTest, TheNextRunSweepsWhatAKilledOneLeft) {
  const fs::path samples = here() / "o/samples", left = samples / ".00000.png.aB3dEf.sumi-tmp";
  write_file(left, "half a picture");
  write_file(here() / "o/.grid-0000.png.aB3dEf.sumi-tmp", "half a grid");
  write_file(samples / ".mine.sumi-tmp", "of a user");
  const fs::path used = samples / ".00001.png.Zyx987.sumi-tmp";
  write_file(used, "being written");
  const int other = open(used.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  const Outcome outcome =
      sumi(Words{"txt2img", "--n_iter", "1", "--n_samples", "1", "--outdir", "o"} + small() + model());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(here() / "o/.grid-0000.png.aB3dEf.sumi-tmp"));
  EXPECT_TRUE(fs::exists(samples / ".mine.sumi-tmp"));
  EXPECT_TRUE(fs::exists(used)) << "its writer lives";
  close(other);
}

TEST_F(FileFaultTest, PlacesThatCannotBeWrittenToAreNamed) {
  fs::create_symlink("loop", here() / "loop");
  write_file(here() / "file", "text");
  const std::string ckpt = synthetic_model().string(), longest = std::string(300, 'n');
  write_pictures(here() / "data", 2, 64, 64);
  const Words before = names_in(here());
  const Words draw = Words{"a red apple"} + small() + model();
  struct Case {
    Words words;
    int code;
  };
  const std::vector<Case> cases{
      {draw + Words{"-o", "loop"}, 73},
      {draw + Words{"-o", "loop/x.png"}, 73},
      {draw + Words{"-o", longest + ".png"}, 73},
      {draw + Words{"-o", "file/x.png"}, 64},
      {draw + Words{"-o", "/"}, 64},
      {draw + Words{"-o", "data/"}, 64},
      {{"convert", "--ckpt", ckpt, "--out", "loop"}, 73},
      {{"convert", "--ckpt", ckpt, "--out", longest}, 73},
      {{"convert", "--ckpt", ckpt, "--out", "file/x"}, 64},
      {{"probe", "randn", "--seed", "1", "--count", "10", "--out", "loop"}, 73},
      {Words{"txt2img", "--outdir", "loop"} + small() + model(), 73},
      {Words{"txt2img", "--outdir", "loop/below"} + small() + model(), 73},
      {Words{"txt2img", "--outdir", longest} + small() + model(), 73},
      {Words{"txt2img", "--outdir", "file/below"} + small() + model(), 73},
      {{"train", "tokenizer", "--data", "data", "--out", "loop"}, 73},
      {{"pull", "tokenizer", "--endpoint", "http://127.0.0.1:1", "--retries", "0", "--out", "loop", "--quiet"}, 73},
  };
  for (const auto& [words, code] : cases) expect_sentence(watched(words), code, testing::PrintToString(words));
  for (const std::string out : {"loop", "file", longest.c_str()}) {
    Words words = train_ldm(here() / "data", out);
    words.erase(words.begin());
    expect_sentence(watched(words + Words{"--steps", "1", "--quiet"}), 73, out);
  }
  EXPECT_EQ(names_in(here()), before);
}

TEST_F(FileFaultTest, NoSentenceRepeatsALongText) {
  const std::string a(100'000, 'a'), bad = a + "\xFF";
  write_file(here() / "long.yaml", "model:\n  target: " + a + "\n");
  write_file(here() / "number.yaml",
             "model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params: {timesteps: " + a + "}\n");
  write_file(here() / "prompts.json", "[\"" + a + "\", 3]");
  write_file(here() / "broken.json", "[" + a + "]");
  write_file(here() / "prompts.txt", bad + "\n");
  write_file(here() / "t/vocab.json", "{\"" + a + "\": -1}");
  write_file(here() / "t/merges.txt", "#version\n" + a + "\n");
  const std::string ckpt = synthetic_model().string();
  const Words draw = Words{"txt2img", "--outdir", "o"} + small();
  std::vector<Words> cases{
      {a, "--" + a},
      {"list", a},
      {"train", a},
      {"inspect", a},
      {"inspect", ckpt, a},
      {"inspect", ckpt, "--config", "long.yaml"},
      {"pull", a},
      {"pull", "tokenizer", "--endpoint", a},
      {"pull", "tokenizer", "--revision", a},
      {"convert", "--ckpt", ckpt, "--out", a},
      {"convert", "--ckpt", ckpt, "--out", "x", "--dtype", a},
      {"convert", "--ckpt", ckpt, "--out", "x", "--config", "number.yaml"},
      draw + Words{"--ckpt", ckpt, "--config", "long.yaml"},
      draw + Words{"--ckpt", ckpt, "--tokenizer", "t"},
      draw + model() + Words{"--from-file", "prompts.txt"},
      draw + model() + Words{"--from-file", a},
      draw + model() + Words{"--prompt", bad},
      Words{"probe", "tokens", "--in", "prompts.json", "--out", "x.json"} + model(),
      Words{"probe", "tokens", "--in", "broken.json", "--out", "x.json"} + model(),
      {"train", "ldm", "--data", a, "--out", "x", "--ckpt", ckpt},
  };
  for (const char* option : {"--sampler", "--schedule", "--lora", "--seed", "--steps", "--backend", "--precision",
                             "--prompt-syntax", "--outdir", "--tokenizer", "--config", "--prediction"})
    cases.push_back(draw + Words{"--ckpt", ckpt, option, a});
  for (const Words& words : cases) {
    const Outcome outcome = watched(words);
    const std::string shown = testing::PrintToString(words).substr(0, 200);
    EXPECT_GE(outcome.code, 64) << shown;
    EXPECT_LE(outcome.code, 74) << shown;
    EXPECT_NE(outcome.code, 70) << shown << outcome.err.substr(0, 500);
    EXPECT_LE(outcome.err.size(), 1200u) << shown;
    EXPECT_THAT(outcome.err, Not(HasSubstr(std::string(201, 'a')))) << shown;
  }
}

}  // namespace
}  // namespace sumi::test
