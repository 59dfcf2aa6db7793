#include "app/server/local_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/check.h"
#include "base/log.h"
#include "image/png.h"
#include "image/resize.h"
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
  const Library library_;
};

TEST_F(JobsTest, AJobIsDrawnAndKept) {
  Shelf shelf({.threads = 2}, {options()});
  LocalJobs jobs(shelf, library_, {});
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
  LocalJobs jobs(shelf, library_, {});
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
  LocalJobs jobs(shelf, library_, {});
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
  LocalJobs jobs(shelf, library_, {.most_together = 1});
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
  LocalJobs jobs(shelf, library_, {.most_queued = 2, .most_kept = 2});
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

// Of one client's jobs; the others keep their turns.
TEST_F(JobsTest, WaitingJobsAreMoved) {
  Shelf shelf({.threads = 2}, {options()});
  LocalJobs jobs(shelf, library_, {});
  const std::string busy = occupy(jobs);
  std::vector<std::string> ids;
  for (const char* client : {"a", "a", "a", "b"})
    ids.push_back(jobs.submit({.request = request(ids.size()), .client = client}));
  const auto places = [&] {
    std::vector<int64_t> places;
    for (const std::string& id : ids) places.push_back(jobs.view(id)->place);
    return places;
  };
  EXPECT_THAT(places(), ElementsAre(1, 3, 4, 2));
  EXPECT_TRUE(jobs.move(ids[2], ids[0]));
  EXPECT_THAT(places(), ElementsAre(3, 4, 1, 2));
  EXPECT_TRUE(jobs.move(ids[2], ""));
  EXPECT_THAT(places(), ElementsAre(1, 3, 4, 2));
  EXPECT_FALSE(jobs.move(ids[2], ids[3]));  // another client's
  EXPECT_FALSE(jobs.move(ids[2], ids[2]));
  EXPECT_FALSE(jobs.move(busy, ids[0]));
  EXPECT_FALSE(jobs.move(ids[0], busy));
  EXPECT_FALSE(jobs.move("nobody", ""));
  const std::string urgent = jobs.submit({.request = request(9), .client = "a", .priority = 3});
  EXPECT_TRUE(jobs.move(ids[0], urgent));
  EXPECT_EQ(jobs.view(ids[0])->priority, 3);
  EXPECT_EQ(jobs.view(ids[0])->place, 1);
  EXPECT_EQ(jobs.view(urgent)->place, 2);
  jobs.cancel(busy);
}

// Jobs that differ in prompts and seeds alone share their network calls, and each has the bytes that it has alone.
TEST_F(JobsTest, JobsAreDrawnTogether) {
  Shelf shelf({.threads = 2}, {options()});
  const Model model = Engine({.threads = 2}).open(options());
  LocalJobs jobs(shelf, library_, {.most_together = 4});
  for (const char* sampler : {"ddim", "euler_a"}) {
    const int64_t before = jobs.counts().batches;
    const std::string busy = occupy(jobs);
    std::vector<Request> requests(4, request(0));
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i].seed = 100 * i + 7;
      requests[i].prompts = {std::string(i + 1, 'x')};
      requests[i].sampler = sampler;
    }
    requests[1].seeding = "picture";  // two pictures
    requests[1].copies = 2;
    requests[3].steps = 3;  // by itself
    std::vector<std::string> ids;
    for (const Request& r : requests) ids.push_back(jobs.submit({.request = r, .previews = true}));
    jobs.cancel(busy);
    for (size_t i = 0; i < ids.size(); ++i) {
      EXPECT_THAT(names(wait_for(jobs, ids[i])), testing::Contains("picture"));
      const JobView view = jobs.view(ids[i]).value();
      ASSERT_EQ(view.state, JobState::kDone) << view.error;
      EXPECT_EQ(view.done, view.steps);
      const auto expected = test::draw(model, requests[i]);
      ASSERT_EQ(view.pictures.size(), expected.size());
      for (size_t k = 0; k < expected.size(); ++k) {
        const auto png = jobs.picture(ids[i], static_cast<int64_t>(k));
        const image::Png read = image::decode_png(std::as_bytes(std::span(*png)), "it");
        EXPECT_EQ(read.image, expected[k].image) << sampler << i << k;
        EXPECT_EQ(read.texts[0].second, expected[k].parameters);
        EXPECT_EQ(view.pictures[k].seed, expected[k].seed);
        EXPECT_EQ(view.pictures[k].number, static_cast<int64_t>(k));
      }
      EXPECT_EQ(nlohmann::json::parse(view.settings)["seed"], *requests[i].seed);
      EXPECT_EQ(nlohmann::json::parse(view.settings)["pictures"], expected.size());
    }
    EXPECT_EQ(jobs.counts().batches, before + 1);
  }
}

TEST_F(JobsTest, OneOfSeveralDrawnTogetherIsCancelled) {
  Shelf shelf({.threads = 2}, {options()});
  LocalJobs jobs(shelf, library_, {});
  const std::string busy = occupy(jobs);
  const std::string a = jobs.submit({.request = request(1, 3000)}), b = jobs.submit({.request = request(2, 3000)});
  std::promise<void> runs;
  bool told = false;
  const auto watch = jobs.watch(a, 0, [&](const JobEvent& event) {
    if (event.name == "step" && !std::exchange(told, true)) runs.set_value();
  });
  jobs.cancel(busy);
  runs.get_future().wait();
  EXPECT_EQ(jobs.counts().running, 2);
  EXPECT_EQ(jobs.cancel(a), Jobs::Cancelled::kYes);
  EXPECT_EQ(jobs.state(a), JobState::kCancelled);
  EXPECT_EQ(jobs.state(b), JobState::kRunning);
  EXPECT_EQ(jobs.cancel(b), Jobs::Cancelled::kYes);
  EXPECT_EQ(names(wait_for(jobs, b)).back(), "cancelled");
  EXPECT_LT(jobs.view(b)->done, 3000);
  EXPECT_EQ(names(wait_for(jobs, jobs.submit({.request = request(3)}))).back(), "done");
}

TEST_F(JobsTest, APictureIsEnlarged) {
  Shelf shelf({.threads = 2}, {options()});
  LocalJobs jobs(shelf, library_, {});
  const std::string drawn = jobs.submit({.request = request(1)});
  wait_for(jobs, drawn);
  const auto png = jobs.picture(drawn, 0);
  const std::string data = "data:image/png;base64," + base64_of(std::as_bytes(std::span(*png)));
  const auto enlarged = [&](Upscaling upscaling) {
    upscaling.picture = data;
    const std::string id = jobs.submit({.upscaling = upscaling});
    wait_for(jobs, id);
    EXPECT_EQ(jobs.view(id)->error, "");
    EXPECT_TRUE(jobs.view(id)->upscaling);
    EXPECT_EQ(jobs.view(id)->request.find("base64"), std::string::npos);
    return image::decode_png(std::as_bytes(std::span(*jobs.picture(id, 0))), "it");
  };
  const image::Png small = image::decode_png(std::as_bytes(std::span(*png)), "it");
  const image::Png large = enlarged({.upscaler = "lanczos", .scale = 1.5});
  EXPECT_EQ(large.image, image::resize(small.image, 96, 96, image::Filter::kLanczos));
  EXPECT_EQ(large.texts, small.texts);  // its parameters stay
  EXPECT_EQ(enlarged({.upscaler = "nearest", .width = 128, .height = 100}).image.height, 128);
  const image::Png cut = enlarged({.upscaler = "nearest", .width = 128, .height = 100, .crop = true});
  EXPECT_EQ(cut.image.width, 128);
  EXPECT_EQ(cut.image.height, 100);
  for (const Upscaling& wrong :
       {Upscaling{.picture = "/etc/passwd", .upscaler = "lanczos"}, Upscaling{.picture = data, .upscaler = "nobody"},
        Upscaling{.picture = data}, Upscaling{.picture = data, .upscaler = "lanczos", .scale = 65.0},
        Upscaling{.picture = data, .upscaler = "lanczos", .width = 100}})
    EXPECT_THROW(jobs.submit({.upscaling = wrong}), Error);
}

// A server that ends, and another that takes up where it was.
TEST_F(JobsTest, JobsOutliveTheServer) {
  const std::filesystem::path state = folder_ / "state";
  std::string done, waiting, cancelled;
  std::string bytes;
  {
    JobStore store(state);
    EXPECT_THROW(JobStore second(state), Error);
    Shelf shelf({.threads = 2}, {options()});
    LocalJobs jobs(shelf, library_, {.store = &store});
    done = jobs.submit({.request = request(1), .client = "me", .priority = 2});
    wait_for(jobs, done);
    bytes = *jobs.picture(done, 0);
    const std::string busy = occupy(jobs);
    Request open = request(0);
    open.seed.reset();  // chosen once
    waiting = jobs.submit({.request = open, .client = "me"});
    cancelled = jobs.submit({.request = request(3)});
    jobs.cancel(cancelled);
    jobs.cancel(busy);
    wait_for(jobs, busy);
    occupy(jobs);  // runs when the server ends
  }
  JobStore store(state);
  std::ofstream(state / "jobs" / "0123456789abcdef") << "no job";
  std::filesystem::create_directory(state / "jobs" / "0123456789abcde0");
  Shelf shelf({.threads = 2}, {options()});
  CollectWarnings warnings;
  LocalJobs jobs(shelf, library_, {.store = &store});
  EXPECT_EQ(jobs.list().size(), 5u);
  EXPECT_EQ(warnings.messages().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(state / "jobs" / "0123456789abcde0"));
  EXPECT_EQ(jobs.view(done)->state, JobState::kDone);
  EXPECT_EQ(jobs.view(done)->priority, 2);
  EXPECT_EQ(*jobs.picture(done, 0), bytes);
  EXPECT_EQ(jobs.view(cancelled)->state, JobState::kCancelled);
  EXPECT_EQ(names(wait_for(jobs, done)), std::vector<std::string>{"done"});
  for (const JobView& view : jobs.list()) {
    if (view.state == JobState::kRunning && view.id != waiting) jobs.cancel(view.id);
  }
  EXPECT_EQ(names(wait_for(jobs, waiting)).back(), "done");
  EXPECT_TRUE(jobs.picture(waiting, 0));
  EXPECT_TRUE(jobs.forget_picture(done, 0));
  EXPECT_EQ(jobs.picture(done, 0), nullptr);
  EXPECT_FALSE(std::filesystem::exists(state / "jobs" / done / "0.png"));
  EXPECT_TRUE(jobs.forget(done));
  EXPECT_FALSE(std::filesystem::exists(state / "jobs" / done));
}

TEST_F(JobsTest, AnEndDoesNotWaitForTheQueue) {
  Shelf shelf({.threads = 2}, {options()});
  std::vector<std::string> seen;
  std::unique_ptr<Jobs::Watch> watch;
  LocalJobs jobs(shelf, library_, {});
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
