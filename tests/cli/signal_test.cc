// Interrupted and killed runs. Faults F3 and F10 of the bad-input list.
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

using testing::HasSubstr;

class SignalTest : public CliTest, public testing::WithParamInterface<int> {
 protected:
  // A run that does not end by itself: many small pictures, or one with many steps.
  Words pictures() const {
    return Words{SUMI_BINARY, "txt2img", "--n_iter", "100000", "--n_samples", "1", "--outdir", "o"} + small() + model();
  }
  Words steps() const {
    return Words{SUMI_BINARY, "txt2img",    "--n_iter", "1",       "--n_samples", "1",   "--outdir", "o",   "--sampler",
                 "ddpm",      "--schedule", "leading",  "--steps", "999",         "--H", "256",      "--W", "256"} +
           model();
  }

  // Every file in samples/ is a whole picture; there are no other files, hidden or not.
  void expect_whole_pictures() const {
    const Words names = names_in(here() / "o/samples");
    for (const std::string& name : names) {
      EXPECT_THAT(name, testing::MatchesRegex("[0-9]+\\.png"));
      EXPECT_EQ(image::read_png(here() / "o/samples" / name).image.width, 64);
    }
  }
};

TEST_P(SignalTest, StopsWithinAStepAndLeavesNothingHalfWritten) {
  Child child(steps(), isolated({}));
  ASSERT_TRUE(child.wait_until([&] { return child.err().find("of memory") != std::string::npos; })) << child.err();
  std::this_thread::sleep_for(std::chrono::milliseconds(700));  // loading is over, sampling is not
  const double before = child.cpu_seconds();
  child.send(GetParam());
  const Outcome outcome = child.wait();
  EXPECT_LT(outcome.cpu_seconds - before, 10.0);
  EXPECT_EQ(outcome.code, 128 + GetParam());
  EXPECT_FALSE(outcome.killed) << "the program must end by itself";
  EXPECT_THAT(outcome.err, HasSubstr("sumi: stopped"));
  EXPECT_THAT(names_in(here() / "o"), testing::ElementsAre("samples"));
  EXPECT_THAT(names_in(here() / "o/samples"), testing::IsEmpty());
}

TEST_P(SignalTest, KeepsThePicturesThatWereDone) {
  Child child(pictures(), isolated({}));
  ASSERT_TRUE(child.wait_until([&] { return fs::exists(here() / "o/samples/00001.png"); })) << child.err();
  child.send(GetParam());
  EXPECT_EQ(child.wait().code, 128 + GetParam());
  EXPECT_GE(names_in(here() / "o/samples").size(), 2u);
  expect_whole_pictures();
}

TEST_P(SignalTest, TheSecondOneEndsItAtOnce) {
  Child child(pictures(), isolated({}));
  ASSERT_TRUE(child.wait_until([&] { return fs::exists(here() / "o/samples/00000.png"); })) << child.err();
  child.send(GetParam());
  child.send(GetParam());
  EXPECT_EQ(child.wait().code, 128 + GetParam());
  expect_whole_pictures();
}

INSTANTIATE_TEST_SUITE_P(IntAndTerm, SignalTest, testing::Values(SIGINT, SIGTERM));

using KilledTest = SignalTest;

TEST_P(KilledTest, LeavesNoPartialFileUnderAFinalName) {
  Child child(pictures(), isolated({}));
  ASSERT_TRUE(child.wait_until([&] { return fs::exists(here() / "o/samples/00001.png"); })) << child.err();
  std::this_thread::sleep_for(std::chrono::milliseconds(GetParam()));
  child.send(SIGKILL);
  EXPECT_TRUE(child.wait().killed);
  for (const std::string& name : names_in(here() / "o/samples")) {
    if (!name.ends_with(".png")) continue;  // a hidden temporary file may stay
    EXPECT_EQ(image::read_png(here() / "o/samples" / name).image.width, 64) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(AfterMilliseconds, KilledTest, testing::Values(0, 13, 29, 47, 111));

}  // namespace
}  // namespace sumi::test
