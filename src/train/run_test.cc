// The training loop, driven by made-up steps.
#include "train/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <limits>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi::train {
namespace {

class TheRun : public testing::Test {
 protected:
  RunOptions options() const {
    return {.data = folder_ / "data", .out = folder_ / "run", .lr = {.peak = 0.1, .steps = 40}, .save_every = 1000};
  }

  // A run of one parameter, 1, from which each step subtracts the learning rate, except steps where `is_number` is
  // false.
  RunResult run_with(const std::function<bool(int64_t step)>& is_number, const RunHooks& hooks = {}) {
    const RunOptions chosen = options();
    sumi::train::Run run(chosen, hooks);
    weight_ = Tensor::full({1}, 1.0f);
    weight_.set_requires_grad(true);
    run.add({{"weight", weight_}}, {});
    run.restore({});
    return run.run({.more_columns = {},
                    .step =
                        [&](int64_t step) {
                          StepResult did{.loss = 1.0, .lr = 0.1};
                          did.usable = is_number(step);
                          if (!did.usable) did.loss = std::numeric_limits<double>::quiet_NaN();
                          if (did.usable) weight_.host_edit<float>()[0] -= 0.01f;
                          return did;
                        },
                    .facts = [] { return std::map<std::string, std::string>(); },
                    .skipped_pictures = [] { return int64_t{0}; }});
  }

  test::TempFolder folder_;
  Tensor weight_;
};

TEST_F(TheRun, StepsOverLossesThatAreNoNumbers) {
  int64_t told = 0;
  const RunResult result = run_with([](int64_t step) { return step % 20 != 7; },
                                    {.on_step = [&](const RunProgress& p) { told += p.skipped ? 1 : 0; }});
  EXPECT_EQ(result.steps, 40);
  EXPECT_EQ(result.skipped_steps, 2);
  EXPECT_EQ(told, 2);
  EXPECT_NEAR(weight_.host<float>()[0], 1.0f - 38 * 0.01f, 1e-5f);
}

TEST_F(TheRun, EndsAfterTwentyInARowAndSavesNothingOfThem) {
  try {
    run_with([](int64_t step) { return step < 5; });
    FAIL() << "the run continued";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_NE(std::string(error.what()).find("has not been finite for 20 steps"), std::string::npos);
  }
  EXPECT_NEAR(weight_.host<float>()[0], 0.95f, 1e-5f);
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run"))
    EXPECT_EQ(entry.path().filename().string().find("checkpoint-"), std::string::npos) << entry.path();
}

TEST_F(TheRun, NineteenInARowAreNotTwenty) {
  EXPECT_EQ(run_with([](int64_t step) { return step % 20 == 19; }).skipped_steps, 38);
}

// A checkpoint that does not say how pictures were decoded is of a version that decoded some otherwise.
TEST_F(TheRun, ResumingAnOlderVersionsIsTold) {
  std::vector<std::string> told;
  const auto resumed = [&] {
    RunOptions chosen = options();
    chosen.resume = true;
    told.clear();
    const RunHooks hooks{.note = [&](const std::string& text) { told.push_back(text); }};
    sumi::train::Run run(chosen, hooks);
    run.add({{"weight", weight_}}, {});
    run.restore({});
    return std::any_of(told.begin(), told.end(), [](const std::string& text) {
      return text.find("decoded some pictures otherwise") != std::string::npos;
    });
  };
  run_with([](int64_t) { return true; });
  EXPECT_FALSE(resumed());
  EXPECT_FALSE(told.empty());
  {
    RunFolder folder(folder_ / "run");
    std::deque<TrainedGroup> groups(1);
    groups[0].params = {{"weight", weight_}};
    groups[0].optimizer = std::make_unique<AdamW>(groups[0].params, AdamWOptions{});
    std::map<std::string, std::string> notes = folder.notes(40);
    EXPECT_EQ(notes.erase("picture_decoding"), 1u);
    folder.save(40, groups, notes);
  }
  EXPECT_TRUE(resumed());
}

}  // namespace
}  // namespace sumi::train
