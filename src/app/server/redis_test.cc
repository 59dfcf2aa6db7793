// The queue in Redis, against a server of its own.
#include "app/server/redis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "app/server/drawn_with.h"
#include "app/server/local_jobs.h"
#include "app/server/shared_jobs.h"
#include "app/server/worker.h"
#include "base/check.h"
#include "tests/support/redis_server.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(RedisAddressTest, IsRead) {
  const RedisAddress plain = parse_redis_address("redis://queue.lan");
  EXPECT_EQ(plain.host, "queue.lan");
  EXPECT_EQ(plain.port, 6379);
  const RedisAddress full = parse_redis_address("redis://ann:se%3Acret@[::1]:7000/3");
  EXPECT_EQ(full.user, "ann");
  EXPECT_EQ(full.password, "se:cret");
  EXPECT_EQ(full.host, "::1");
  EXPECT_EQ(full.port, 7000);
  EXPECT_EQ(full.database, 3);
  EXPECT_EQ(full.shown().find("cret"), std::string::npos);
  for (const char* wrong :
       {"", "queue.lan", "http://a", "redis://", "redis://a:b:c", "redis://a:99999", "redis://a/x"}) {
    EXPECT_THROW(parse_redis_address(wrong), Error) << wrong;
  }
}

class SharedJobsTest : public testing::Test {
 protected:
  SharedJobsTest() { tools::write_byte_vocabulary(folder_.path()); }

  ModelOptions model() const { return test::tiny_options(folder_.path()); }
  static Request request(uint64_t seed, int64_t steps = 2) {
    return {.prompts = {"a cat"}, .width = 64, .height = 64, .steps = steps, .seed = seed};
  }
  RedisAddress address() const { return {.port = redis_.port()}; }
  SharedJobsOptions serving(size_t most_queued = 100) const {
    return {.most_queued = most_queued, .queue = quick(), .redis = {.answer_time = milliseconds(5000)}};
  }
  static SharedQueueOptions quick() { return {.heartbeat = milliseconds(1500)}; }
  static void wait(const Jobs& jobs, const std::string& id) {
    while (!is_over(jobs.state(id).value_or(JobState::kFailed))) std::this_thread::sleep_for(milliseconds(5));
  }

  // A worker on a thread, until it is let go.
  class Working {
   public:
    Working(const SharedJobsTest& test, const std::string& name)
        : shelf_({.threads = 1}, {test.model()}),
          worker_(test.address(), shelf_, library_, {.queue = quick(), .name = name}),
          thread_([this] { worker_.run(stop_); }) {}
    ~Working() {
      stop_ = true;
      thread_.join();
    }

   private:
    std::atomic<bool> stop_{false};
    Shelf shelf_;
    const Library library_;
    Worker worker_;
    std::thread thread_;
  };

  const test::TempFolder folder_;
  test::RedisServer redis_{folder_ / "redis"};
  Shelf shelf_{{.threads = 1}, {model()}};
  const Library library_;
};

TEST_F(SharedJobsTest, AJobIsDrawnByAWorker) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  const std::string id = jobs.submit({.request = request(7), .client = "me", .previews = true});
  EXPECT_EQ(jobs.view(id)->state, JobState::kQueued);
  std::vector<std::string> names;
  std::mutex mutex;
  const auto watch = jobs.watch(id, 0, [&](const JobEvent& event) {
    const std::lock_guard lock(mutex);
    names.push_back(event.name);
  });
  const Working worker(*this, "one");
  wait(jobs, id);
  const JobView view = jobs.view(id).value();
  ASSERT_EQ(view.state, JobState::kDone) << view.error;
  EXPECT_EQ(view.client, "me");
  EXPECT_EQ(view.done, 2);
  EXPECT_EQ(view.steps, 2);
  EXPECT_EQ(nlohmann::json::parse(view.settings)["seed"], 7);
  const std::lock_guard lock(mutex);
  for (const char* name : {"queued", "running", "picture", "done"}) EXPECT_THAT(names, testing::Contains(name));
  // The bytes that this process draws.
  LocalJobs own(shelf_, library_, {});
  const std::string alone = own.submit({.request = request(7)});
  wait(own, alone);
  ASSERT_TRUE(jobs.picture(id, 0));
  EXPECT_EQ(*jobs.picture(id, 0), *own.picture(alone, 0));
  EXPECT_EQ(view.pictures.at(0).parameters, own.view(alone)->pictures.at(0).parameters);
}

TEST_F(SharedJobsTest, EveryServerKnowsEveryJob) {
  SharedJobs first(address(), shelf_, library_, serving()), second(address(), shelf_, library_, serving());
  const std::string id = first.submit({.request = request(7)});
  while (!second.state(id)) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(second.cancel(id), Jobs::Cancelled::kYes);
  wait(first, id);
  EXPECT_EQ(first.state(id), JobState::kCancelled);
  EXPECT_EQ(first.cancel(id), Jobs::Cancelled::kOver);
  EXPECT_EQ(first.cancel("nobody"), Jobs::Cancelled::kUnknown);
  SharedJobs third(address(), shelf_, library_, serving());
  EXPECT_EQ(third.state(id), JobState::kCancelled);
  EXPECT_TRUE(third.forget(id));
  while (first.state(id)) std::this_thread::sleep_for(milliseconds(5));
  const Working worker(*this, "one");
  const std::string next = first.submit({.request = request(8)});  // the cancelled one is not drawn
  wait(first, next);
  EXPECT_EQ(first.state(next), JobState::kDone);
}

TEST_F(SharedJobsTest, ARunningJobIsCancelled) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  const Working worker(*this, "one");
  const std::string id = jobs.submit({.request = request(1, 900)});
  while (jobs.view(id)->done == 0) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(jobs.cancel(id), Jobs::Cancelled::kYes);
  wait(jobs, id);
  EXPECT_EQ(jobs.state(id), JobState::kCancelled);
  EXPECT_LT(jobs.view(id)->done, 900);
}

TEST_F(SharedJobsTest, FailuresAreTold) {
  SharedJobs jobs(address(), shelf_, library_, serving(2));
  Request wrong = request(1);
  wrong.steps = 0;
  EXPECT_THROW(jobs.submit({.request = wrong}), Error);
  EXPECT_THROW(jobs.submit({.request = request(1), .model = "nowhere"}), Error);
  wrong = request(1);
  wrong.prompts = {"<lora:nowhere:1>"};
  const std::string id = jobs.submit({.request = wrong});
  jobs.submit({.request = request(2)});
  EXPECT_THROW(jobs.submit({.request = request(3)}), QueueIsFull);
  const Working worker(*this, "one");
  wait(jobs, id);
  EXPECT_EQ(jobs.state(id), JobState::kFailed);
  EXPECT_THAT(jobs.view(id)->error, HasSubstr("nowhere"));
  EXPECT_EQ(jobs.view(id)->error_kind, ErrorKind::kNoInput);
}

TEST_F(SharedJobsTest, TheSameIsDrawnOnce) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  const Working worker(*this, "one");
  const std::string first = jobs.submit({.request = request(5)});
  wait(jobs, first);
  const std::string again = jobs.submit({.request = request(5), .client = "other"});
  wait(jobs, again);
  ASSERT_TRUE(jobs.picture(again, 0));
  EXPECT_EQ(*jobs.picture(again, 0), *jobs.picture(first, 0));
  EXPECT_TRUE(jobs.forget(first));
  EXPECT_TRUE(jobs.picture(again, 0));  // its own
  // One with a picture less is not the same any more.
  Request two = request(6);
  two.copies = 2;
  const std::string both = jobs.submit({.request = two});
  wait(jobs, both);
  EXPECT_TRUE(jobs.forget_picture(both, 0));
  const std::string anew = jobs.submit({.request = two});
  wait(jobs, anew);
  EXPECT_EQ(jobs.view(anew)->pictures.size(), 2u);
  EXPECT_TRUE(jobs.picture(anew, 0));
}

// Another worker's options and files may draw other bytes.
TEST_F(SharedJobsTest, WhatDrewItDecidesWhatIsTheSame) {
  const Submission submission{.request = request(5)};
  const Identity own = own_identity();
  const std::string hash = result_hash(submission, "m", own, "cpu f16");
  EXPECT_EQ(hash, result_hash({.request = request(5), .client = "me", .priority = 3}, "m", own, "cpu f16"));
  EXPECT_NE(hash, result_hash(submission, "m", own, "cpu full"));
  EXPECT_NE(hash, result_hash(submission, "n", own, "cpu f16"));
  EXPECT_NE(hash, result_hash({.request = request(6)}, "m", own, "cpu f16"));
  // A model that was trained further has the same name and size.
  const auto file = folder_ / "mine.safetensors";
  const auto prints = [&](char last) {
    test::write_file(file, std::string(3'000'000, 'a') + last);
    return FilePrints().of(Shelf({.threads = 1}, {{.path = file.string()}}), library_, "mine");
  };
  const std::string before = prints('b');
  EXPECT_NE(before, prints('c'));
  EXPECT_EQ(before, prints('b'));
}

// What ended without being drawn leaves nothing large, and no streams.
TEST_F(SharedJobsTest, WhatIsOverIsSmall) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  Redis redis(address());
  const std::string id = jobs.submit({.request = request(1), .version = "0.0.9"});
  EXPECT_EQ(redis.call({"KEYS", "sumi:queue:*"}).items.size(), 1u);
  EXPECT_EQ(jobs.cancel(id), Jobs::Cancelled::kYes);
  EXPECT_EQ(redis.call({"HEXISTS", "sumi:job:" + id, "submission"}).integer, 0);
  EXPECT_EQ(redis.call({"KEYS", "sumi:queue:*"}).items.size(), 0u);
  EXPECT_THROW(jobs.submit({.request = request(1), .version = std::string(65, 'x')}), Error);
  // Of many the oldest go, with their pictures.
  SharedQueue queue(redis, {.most_kept = 2});
  for (int i = 0; i < 4; ++i) {
    const std::string next = jobs.submit({.request = request(1), .version = "0.0.9"});
    queue.save_picture(next, 0, "png");
    EXPECT_EQ(queue.cancel(next), Jobs::Cancelled::kYes);
  }
  EXPECT_EQ(redis.call({"KEYS", "sumi:job:*"}).items.size(), 2u);
  // A job that Redis has lost takes no place.
  const std::string lost = jobs.submit({.request = request(1), .version = "0.0.9"});
  redis.call({"DEL", "sumi:job:" + lost});
  while (jobs.state(lost)) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(redis.call({"ZCARD", "sumi:open"}).integer, 0);
}

TEST_F(SharedJobsTest, BytesThatWaitAreBounded) {
  SharedJobsOptions options = serving();
  options.most_queued_bytes = 1500;
  SharedJobs jobs(address(), shelf_, library_, options);
  Request long_one = request(1);
  long_one.prompts = {std::string(1000, 'a')};
  const std::string id = jobs.submit({.request = long_one});
  EXPECT_THROW(jobs.submit({.request = long_one}), QueueIsFull);
  EXPECT_EQ(jobs.counts().refused, 1);
  EXPECT_EQ(jobs.cancel(id), Jobs::Cancelled::kYes);
  jobs.submit({.request = long_one});
}

TEST_F(SharedJobsTest, AJobMayAskForAWorker) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  const Working worker(*this, "one");
  const std::string foreign = jobs.submit({.request = request(1), .version = "0.0.9"});
  const std::string own = jobs.submit({.request = request(2), .instructions = own_identity().instructions});
  wait(jobs, own);
  EXPECT_EQ(jobs.state(own), JobState::kDone);
  EXPECT_EQ(jobs.state(foreign), JobState::kQueued);
  LocalJobs local(shelf_, library_, {});
  EXPECT_THROW(local.submit({.request = request(1), .version = "0.0.9"}), Error);
}

// A worker that takes a job and ends without a word: another takes it, and after three such the job fails.
TEST_F(SharedJobsTest, ADeadWorkersJobGoesToAnother) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  Redis redis(address());
  SharedQueue queue(redis, quick());
  const auto streams = queue.streams({shelf_.name_of("")}, own_identity());
  const auto die_with = [&](const std::string& worker) {
    queue.beat(worker, own_identity());
    std::optional<Delivery> delivery;
    while (!(delivery = queue.take(worker, streams, true))) std::this_thread::sleep_for(milliseconds(20));
    EXPECT_TRUE(queue.begin(*delivery));
    queue.leave(worker);
    return *delivery;
  };
  const std::string id = jobs.submit({.request = request(7)});
  const Delivery first = die_with("dead");
  EXPECT_EQ(first.id, id);
  {
    const Working worker(*this, "alive");
    wait(jobs, id);
    EXPECT_EQ(jobs.state(id), JobState::kDone);
  }
  // The dead one was only slow: what it says now is dropped.
  EXPECT_FALSE(queue.end(first, JobState::kFailed, "late", ErrorKind::kInternal));
  EXPECT_EQ(queue.job(id)->view.state, JobState::kDone);
  const std::string poison = jobs.submit({.request = request(8)});
  for (const char* worker : {"a", "b", "c"}) EXPECT_EQ(die_with(worker).id, poison);
  const Working worker(*this, "d");
  wait(jobs, poison);
  EXPECT_EQ(jobs.state(poison), JobState::kFailed);
  EXPECT_THAT(jobs.view(poison)->error, HasSubstr("3 workers have ended"));
}

// A worker that was only slow says nothing more about a job that is another's.
TEST_F(SharedJobsTest, AJobHasOneWorker) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  Redis redis(address());
  SharedQueue queue(redis, quick());
  const auto streams = queue.streams({shelf_.name_of("")}, own_identity());
  const std::string id = jobs.submit({.request = request(7)});
  const auto slow = queue.take("slow", streams, true);
  ASSERT_TRUE(slow);
  EXPECT_TRUE(queue.begin(*slow));
  EXPECT_EQ(queue.standing(*slow), SharedQueue::Standing::kOwn);
  queue.beat("quick", own_identity());
  const auto quick_one = queue.take("quick", streams, true);
  ASSERT_TRUE(quick_one);
  EXPECT_EQ(quick_one->id, id);
  EXPECT_EQ(quick_one->count, 2);
  EXPECT_TRUE(queue.begin(*quick_one));
  EXPECT_EQ(queue.standing(*slow), SharedQueue::Standing::kLost);
  queue.change(*slow, {{"pictures", R"([{"number": 9}])"}});
  EXPECT_FALSE(queue.end(*slow, JobState::kFailed, "late", ErrorKind::kInternal));
  queue.give_back(*slow);
  EXPECT_EQ(queue.job(id)->view.state, JobState::kRunning);
  EXPECT_TRUE(queue.job(id)->view.pictures.empty());
  // What is given back keeps its place before what came later, and is not held against the job.
  jobs.submit({.request = request(8)});
  queue.give_back(*quick_one);
  EXPECT_EQ(queue.job(id)->view.state, JobState::kQueued);
  const auto next = queue.take("quick", streams, false);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->id, id);
  EXPECT_EQ(next->count, 2);
  EXPECT_TRUE(queue.begin(*next));
  EXPECT_TRUE(queue.end(*next, JobState::kDone, "", {}));
  EXPECT_FALSE(queue.end(*next, JobState::kDone, "", {}));
}

// Redis is started again, with its files: nothing is lost.
TEST_F(SharedJobsTest, RedisComesBack) {
  SharedJobs jobs(address(), shelf_, library_, serving());
  std::vector<std::string> ids;
  for (uint64_t seed = 0; seed < 6; ++seed) ids.push_back(jobs.submit({.request = request(seed)}));
  redis_.stop();
  EXPECT_THROW(jobs.submit({.request = request(9)}), Error);
  const Working* worker = nullptr;
  redis_.start();
  const Working later(*this, "one");
  worker = &later;
  wait(jobs, ids[1]);
  redis_.stop();
  redis_.start();
  for (const std::string& id : ids) {
    wait(jobs, id);
    EXPECT_EQ(jobs.state(id), JobState::kDone) << jobs.view(id)->error;
  }
  EXPECT_NE(worker, nullptr);
  EXPECT_EQ(Redis(address()).call({"ZCARD", "sumi:open"}).integer, 0);
}

TEST(SharedJobsAloneTest, WithoutRedisThereIsASentence) {
  const test::TempFolder folder;
  tools::write_byte_vocabulary(folder.path());
  Shelf shelf({.threads = 1}, {test::tiny_options(folder.path())});
  const Library library;
  try {
    const SharedJobs jobs({.password = "secret", .port = 1}, shelf, library, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("redis://127.0.0.1:1"));
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace sumi::app
