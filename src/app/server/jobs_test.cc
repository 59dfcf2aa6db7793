#include "app/server/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JobsTest : public testing::Test {
 protected:
  JobsTest() { tools::write_byte_vocabulary(folder_.path()); }

  ModelOptions options() const { return test::tiny_options(folder_.path()); }
  static Request request(uint64_t seed, int64_t steps = 2) {
    return {.prompts = {"a cat"}, .width = 64, .height = 64, .steps = steps, .seed = seed};
  }
  // The job's end, with what was told of it.
  static std::vector<JobEvent> wait_for(Jobs& jobs, const std::string& id, uint64_t after = 0) {
    std::vector<JobEvent> events;
    std::promise<void> over;
    const auto watch = jobs.watch(id, after, [&](const JobEvent& event) {
      events.push_back(event);
      if (ends(event)) over.set_value();
    });
    if (watch) over.get_future().wait();
    return events;
  }
  static std::vector<std::string> names(const std::vector<JobEvent>& events) {
    std::vector<std::string> names;
    for (const JobEvent& event : events) names.push_back(event.name);
    return names;
  }
  // A job that runs until it is cancelled.
  static std::string occupy(Jobs& jobs, const std::string& client = "busy") {
    const std::string id = jobs.submit({.request = request(1, 9000), .client = client});
    std::promise<void> runs;
    bool told = false;
    const auto watch = jobs.watch(id, 0, [&](const JobEvent& event) {
      if (event.name == "step" && !std::exchange(told, true)) runs.set_value();
    });
    runs.get_future().wait();
    return id;
  }

  const test::TempFolder folder_;
};

TEST_F(JobsTest, AJobIsDrawnAndKept) {
  Shelf shelf({.threads = 2}, {options()});
  Jobs jobs(shelf, {});
  const std::string id = jobs.submit({.request = request(7), .client = "me", .previews = true});
  const auto events = wait_for(jobs, id);
  EXPECT_EQ(events.back().name, "done");
  EXPECT_THAT(names(events), testing::Contains("picture"));
  for (size_t i = 1; i < events.size(); ++i) EXPECT_GT(events[i].number, events[i - 1].number);
  const JobView view = jobs.view(id).value();
  EXPECT_EQ(view.state, JobState::kDone);
  EXPECT_EQ(view.done, 2);
  EXPECT_EQ(view.steps, 2);
  EXPECT_EQ(nlohmann::json::parse(view.settings)["seed"], 7);
  EXPECT_EQ(nlohmann::json::parse(view.settings)["model"], view.model);
  EXPECT_EQ(view.settings.find(folder_.path().string()), std::string::npos);  // no path of this machine
  EXPECT_EQ(view.settings.find(SUMI_TEST_DATA), std::string::npos);
  ASSERT_EQ(view.pictures.size(), 1u);
  const auto png = jobs.picture(id, 0);
  ASSERT_TRUE(png);
  const auto expected = test::draw(Engine({.threads = 2}).open(options()), request(7))[0];
  const image::Png read = image::decode_png(std::as_bytes(std::span(*png)), "it");
  EXPECT_EQ(read.image, expected.image);
  EXPECT_EQ(read.texts[0].second, expected.parameters);
  EXPECT_EQ(jobs.picture(id, 1), nullptr);
  // Who comes later is told what has happened, once.
  EXPECT_EQ(names(wait_for(jobs, id)).back(), "done");
  EXPECT_TRUE(wait_for(jobs, id, events.back().number - 1).size() == 1);
  EXPECT_TRUE(jobs.forget(id));
  EXPECT_FALSE(jobs.view(id));
  EXPECT_FALSE(jobs.forget(id));
}

TEST_F(JobsTest, WhatFailsSaysWhy) {
  Shelf shelf({.threads = 2}, {options()});
  Jobs jobs(shelf, {});
  Request wrong = request(7);
  wrong.steps = 0;
  EXPECT_THROW(jobs.submit({.request = wrong}), Error);
  EXPECT_THROW(jobs.submit({.request = request(7), .model = "../x"}), Error);
  EXPECT_THROW(jobs.submit({.request = request(7), .priority = 11}), Error);
  EXPECT_EQ(jobs.list().size(), 0u);
  wrong = request(7);
  wrong.prompts = {"<lora:nowhere:1>"};  // known to be wrong once the model is there
  const std::string id = jobs.submit({.request = wrong});
  const auto events = wait_for(jobs, id);
  EXPECT_EQ(events.back().name, "failed");
  EXPECT_THAT(events.back().data, HasSubstr("nowhere"));
  EXPECT_THAT(jobs.view(id)->error, HasSubstr("nowhere"));
  EXPECT_EQ(wait_for(jobs, jobs.submit({.request = request(8)})).back().name, "done");  // the next goes on
}

TEST_F(JobsTest, CancelledInEveryState) {
  Shelf shelf({.threads = 2}, {options()});
  Jobs jobs(shelf, {});
  const std::string running = occupy(jobs), queued = jobs.submit({.request = request(2)});
  EXPECT_EQ(jobs.view(queued)->place, 1);
  EXPECT_EQ(jobs.cancel(queued), Jobs::Cancelled::kYes);
  EXPECT_EQ(jobs.view(queued)->state, JobState::kCancelled);
  EXPECT_EQ(jobs.cancel(running), Jobs::Cancelled::kYes);
  EXPECT_EQ(wait_for(jobs, running).back().name, "cancelled");
  EXPECT_EQ(jobs.cancel(running), Jobs::Cancelled::kOver);
  EXPECT_EQ(jobs.cancel("nobody"), Jobs::Cancelled::kUnknown);
  const JobCounts counts = jobs.counts();
  EXPECT_EQ(counts.cancelled, 2);
  EXPECT_LT(jobs.view(running)->done, 9000);
}

// Clients take turns, and of one the higher priority comes first.
TEST_F(JobsTest, TheQueueIsFair) {
  Shelf shelf({.threads = 2}, {options()});
  Jobs jobs(shelf, {});
  const std::string busy = occupy(jobs);
  std::vector<std::string> ids;
  const auto add = [&](const char* client, int priority) {
    ids.push_back(jobs.submit({.request = request(ids.size()), .client = client, .priority = priority}));
  };
  add("a", 0);
  add("a", 0);
  add("a", 0);
  add("b", 0);
  add("c", -1);
  add("d", 1);
  std::vector<int64_t> places;
  for (const std::string& id : ids) places.push_back(jobs.view(id)->place);
  EXPECT_THAT(places, ElementsAre(2, 4, 5, 3, 6, 1));
  jobs.cancel(busy);
  std::vector<std::pair<double, size_t>> drawn;
  for (size_t i = 0; i < ids.size(); ++i) {
    wait_for(jobs, ids[i]);
    drawn.emplace_back(jobs.view(ids[i])->started, i);
  }
  std::sort(drawn.begin(), drawn.end());
  std::vector<size_t> order;
  for (const auto& [when, i] : drawn) order.push_back(i);
  EXPECT_THAT(order, ElementsAre(5, 0, 3, 1, 2, 4));
}

TEST_F(JobsTest, BoundsAreKept) {
  Shelf shelf({.threads = 2}, {options()});
  Jobs jobs(shelf, {.most_queued = 2, .most_kept = 2});
  const std::string busy = occupy(jobs);
  const std::string first = jobs.submit({.request = request(1)}), second = jobs.submit({.request = request(2)});
  EXPECT_THROW(jobs.submit({.request = request(3)}), QueueIsFull);
  EXPECT_EQ(jobs.counts().refused, 1);
  jobs.cancel(busy);
  wait_for(jobs, second);
  EXPECT_FALSE(jobs.view(busy));  // the oldest of three
  EXPECT_TRUE(jobs.view(first));
  EXPECT_TRUE(jobs.drain(std::chrono::minutes(1)));
  EXPECT_THROW(jobs.submit({.request = request(3)}), Error);
}

TEST_F(JobsTest, AnEndDoesNotWaitForTheQueue) {
  Shelf shelf({.threads = 2}, {options()});
  std::vector<std::string> seen;
  std::unique_ptr<Jobs::Watch> watch;
  Jobs jobs(shelf, {});
  const std::string busy = occupy(jobs);
  jobs.submit({.request = request(1)});
  watch = jobs.watch(busy, 0, [&](const JobEvent& event) { seen.push_back(event.name); });
  watch.reset();  // before the jobs are gone
}

TEST_F(JobsTest, TheShelfOpensWhatIsAskedFor) {
  const std::string other = (folder_ / "other.safetensors").string();
  std::filesystem::create_symlink(options().path, other);
  ModelOptions second = options();
  second.path = other;
  Shelf shelf({.threads = 2}, {options(), second}, 1);  // room for one
  EXPECT_EQ(shelf.list().size(), 2u);
  EXPECT_EQ(shelf.name_of(""), shelf.list()[0].name);
  shelf.get("").load();
  EXPECT_TRUE(shelf.list()[0].loaded);
  shelf.get("other").load();
  EXPECT_FALSE(shelf.list()[0].loaded);
  EXPECT_TRUE(shelf.list()[1].loaded);
  EXPECT_EQ(shelf.name_of("other.safetensors"), "other");
  try {
    shelf.get("third");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("choose one of"));
    EXPECT_THAT(error.what(), HasSubstr("other"));
  }
  EXPECT_THROW(Shelf({}, {}), Error);
  EXPECT_THROW(Shelf({}, {second, second}), Error);
}

}  // namespace
}  // namespace sumi::app
