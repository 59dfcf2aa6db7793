// sumi train embedding: a word is learned, the model stays as it is.
#include "io/safetensors.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/relative_l2.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

class TrainEmbedding : public CliTest {
 protected:
  TrainEmbedding() { write_pictures(here() / "data", 3, 64, 64); }

  Words command(const std::string& out, const Words& more) const {
    return Words{"train",     "embedding",
                 "--data",    (here() / "data").string(),
                 "--out",     (here() / out).string(),
                 "--size",    "64",
                 "--word",    "my-cat",
                 "--init",    "a red cat",
                 "--vectors", "2",
                 "--batch",   "2"} +
           model() + more;
  }
  Tensor vectors(const std::string& out) const {
    return io::open_checkpoint(here() / out / "my-cat.safetensors")->tensor("emb_params");
  }
};

TEST_F(TrainEmbedding, LearnsVectorsThatPromptsUse) {
  const Outcome outcome = sumi(command("run", {"--steps", "4", "--sample-prompt", "a my-cat", "--sample-every", "4"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("3 pictures, 3 with captions"));
  EXPECT_TRUE(fs::exists(here() / "run/samples/00000004.png"));
  EXPECT_FALSE(fs::exists(here() / "run/model.safetensors"));
  EXPECT_EQ(vectors("run").shape(), (Shape{2, 64}));
  const Outcome none = sumi(command("none", {"--steps", "4", "--lr", "1e-9"}));
  ASSERT_EQ(none.code, 0) << none.err;
  EXPECT_GT(relative_l2(vectors("run"), vectors("none")), 1e-3);
  // Two of four steps, then the rest: the same bytes.
  ASSERT_EQ(sumi(command("halves", {"--steps", "4", "--save-every", "2"})).code, 0);
  fs::remove(here() / "halves/my-cat.safetensors");
  EXPECT_EQ(read_bytes(here() / "run/metrics.csv").substr(0, 30),
            read_bytes(here() / "halves/metrics.csv").substr(0, 30));
  const Outcome again = sumi(command("halves", {"--steps", "4", "--save-every", "2", "--resume"}));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(relative_l2(vectors("run"), vectors("halves")), 0.0);
  // It is used by its word, and tells what it is.
  const auto draw = [&](const Words& more) {
    const Outcome drawn = sumi(Words{"a my-cat", "-o", "x.png", "--seed", "1"} + small() + model() + more);
    EXPECT_EQ(drawn.code, 0) << drawn.err;
    return read_bytes(here() / "x.png");
  };
  EXPECT_NE(draw({}), draw({"--embedding", (here() / "run/my-cat.safetensors").string()}));
  const Outcome told = sumi({"inspect", (here() / "run/my-cat.safetensors").string()});
  EXPECT_THAT(told.out, HasSubstr("\"my-cat\": 2 vectors of 64"));
}

TEST_F(TrainEmbedding, RefusesWhatCannotBeTrained) {
  const auto refused = [&](Words words, const std::string& from, const std::string& to, const std::string& part) {
    std::replace(words.begin(), words.end(), from, to);
    const Outcome outcome = sumi(words);
    EXPECT_EQ(outcome.code, 64) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_FALSE(fs::exists(here() / "run"));
  };
  const Words words = command("run", {"--steps", "1"});
  refused(words, "my-cat", "my/cat", "--word must be");
  refused(words, "my-cat", "", "--word");
  refused(words, "a red cat", " ", "--init must be");
}

// Pictures need no captions; a dry run says the same as the run.
TEST_F(TrainEmbedding, ADryRunNeedsNoCaptions) {
  for (const char* name : {"0.txt", "1.txt", "2.txt"}) fs::remove(here() / "data" / name);
  const Outcome outcome = sumi(command("run", {"--steps", "1", "--dry-run"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("3 pictures, 0 with captions"));
}

// Captions count as they are trained, with the word before them.
TEST_F(TrainEmbedding, CaptionsThatAreCutAreCounted) {
  std::string caption;  // of 75 ids, as many as are taken
  for (int i = 0; i < 75; ++i) caption += "a ";
  write_file(here() / "data/1.txt", caption);
  const Outcome outcome = sumi(command("run", {"--steps", "1"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 captions are cut"));
}

TEST_F(TrainEmbedding, ResumingNothingIsTold) {
  const Outcome outcome = sumi(command("run", {"--steps", "1", "--resume"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("holds no checkpoint to resume from"));
}

}  // namespace
}  // namespace sumi::test
