#include "app/server/waiting.h"

#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "app/server/http_text.h"
#include "base/check.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;

// Jobs that a test ends as it likes.
class ScriptedJobs : public Jobs {
 public:
  std::string submit(Submission submission) override {
    if (submission.model == "full") throw QueueIsFull("100 jobs are waiting already");
    submitted.push_back(std::move(submission));
    const std::string id = std::to_string(submitted.size());
    views[id] = {.id = id};
    return id;
  }
  std::optional<JobView> view(const std::string& id) const override {
    return views.contains(id) ? std::optional(views.at(id)) : std::nullopt;
  }
  std::optional<JobState> state(const std::string& id) const override {
    return views.contains(id) ? std::optional(views.at(id).state) : std::nullopt;
  }
  std::vector<JobView> list() const override { return {}; }
  std::shared_ptr<const std::string> picture(const std::string&, int64_t) const override { return nullptr; }
  Cancelled cancel(const std::string& id) override {
    cancelled.push_back(id);
    return Cancelled::kYes;
  }
  bool forget(const std::string&) override { return false; }
  bool forget_picture(const std::string&, int64_t) override { return false; }
  bool move(const std::string&, const std::string&) override { return false; }
  std::unique_ptr<Watch> watch(const std::string& id, uint64_t, std::function<void(const JobEvent&)> call) override {
    calls[id] = std::move(call);
    return std::make_unique<Watch>([this, id] { calls.erase(id); });
  }
  JobCounts counts() const override { return {}; }
  bool drain(milliseconds) override { return true; }

  void tell(const std::string& id, const std::string& event) {
    const auto call = calls.at(id);
    call({.name = event});
  }
  void end(const std::string& id, JobState state, const std::string& error = "",
           ErrorKind kind = ErrorKind::kInternal) {
    views[id].state = state;
    views[id].error = error;
    views[id].error_kind = kind;
    tell(id, name_of(state));
  }

  std::vector<Submission> submitted;
  std::map<std::string, JobView> views;
  std::vector<std::string> cancelled;
  std::map<std::string, std::function<void(const JobEvent&)>> calls;
};

class FakeExchange : public HttpExchange {
 public:
  explicit FakeExchange(std::string body, std::string peer = "me")
      : request_{.method = "POST", .path = "/draw", .body = std::move(body), .peer = std::move(peer)} {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override { replied = std::move(reply); }
  void begin(HttpReply head) override {
    EXPECT_FALSE(begun);
    begun = true;
    status = head.status;
    text += head.body;
  }
  void write(std::string piece) override { text += piece; }
  void end() override { ended = true; }
  size_t waiting() const override { return 0; }
  void on_gone(std::function<void()> call) override { gone = std::move(call); }

  std::optional<HttpReply> replied;
  bool begun = false, ended = false;
  int status = 0;
  std::string text;
  std::function<void()> gone;

 private:
  HttpRequest request_;
};

class WaitingTest : public testing::Test {
 protected:
  // What is due is done when the test says so.
  void now() {
    std::vector<std::function<void()>> calls;
    {
      const std::lock_guard lock(mutex_);
      calls.swap(at_once_);
    }
    for (auto& call : calls) call();
  }
  void fifteen_seconds_later() {
    for (auto& call : std::exchange(later_, {})) call();
  }
  std::shared_ptr<FakeExchange> ask(const std::string& body, const std::string& peer = "me") {
    const auto exchange = std::make_shared<FakeExchange>(body, peer);
    waiting_.ask(exchange, {.repeats = repeats_, .answer = [](const JobView& view) {
                              return HttpReply{.body = "{\"id\":" + view.id + "}"};
                            }});
    return exchange;
  }

  bool repeats_ = true;
  ScriptedJobs jobs_;
  size_t at_once_count() {
    const std::lock_guard lock(mutex_);
    return at_once_.size();
  }
  std::mutex mutex_;
  std::vector<std::function<void()>> at_once_, later_;
  Waiting waiting_{jobs_, [this](milliseconds time, std::function<void()> call) {
                     const std::lock_guard lock(mutex_);
                     (time.count() == 0 ? at_once_ : later_).push_back(std::move(call));
                   }};
};

TEST_F(WaitingTest, AQuickAnswerIsAPlainReply) {
  const auto exchange = ask("a");
  EXPECT_FALSE(exchange->begun);
  jobs_.end("1", JobState::kDone);
  EXPECT_FALSE(exchange->replied);  // not on the thread that draws
  now();
  EXPECT_EQ(exchange->replied->body, "{\"id\":1}");
  EXPECT_TRUE(jobs_.calls.empty());
}

TEST_F(WaitingTest, TheHeadGoesOutWithTheFirstStepAndSpacesFollow) {
  const auto exchange = ask("a");
  jobs_.tell("1", "running");
  now();
  EXPECT_FALSE(exchange->begun);
  jobs_.tell("1", "step");
  jobs_.tell("1", "step");
  now();
  EXPECT_TRUE(exchange->begun);
  EXPECT_EQ(exchange->status, 200);
  fifteen_seconds_later();
  fifteen_seconds_later();
  EXPECT_EQ(exchange->text, "  ");
  jobs_.end("1", JobState::kDone);
  now();
  EXPECT_EQ(nlohmann::json::parse(exchange->text)["id"], 1);
  EXPECT_TRUE(exchange->ended);
  fifteen_seconds_later();
  EXPECT_TRUE(later_.empty());  // nobody is left to wait for
}

TEST_F(WaitingTest, AQueueThatLastsIsWaitedFor) {
  const auto exchange = ask("a");
  fifteen_seconds_later();
  EXPECT_TRUE(exchange->begun);
  jobs_.end("1", JobState::kFailed, "no such LoRA", ErrorKind::kNoInput);
  now();
  EXPECT_EQ(nlohmann::json::parse(exchange->text)["error"]["message"], "no such LoRA");
}

TEST_F(WaitingTest, FailuresHaveTheirStatus) {
  const auto exchange = ask("a");
  jobs_.end("1", JobState::kFailed, "no such LoRA", ErrorKind::kNoInput);
  now();
  EXPECT_EQ(exchange->replied->status, 404);
  const auto other = ask("b");
  jobs_.end("2", JobState::kCancelled);
  now();
  EXPECT_EQ(other->replied->status, 409);
  EXPECT_THROW(waiting_.ask(other, {.submission = {.model = "full"}}), QueueIsFull);
  EXPECT_EQ(waiting_.current("me"), "");
}

TEST_F(WaitingTest, TheSameRequestIsDrawnOnce) {
  const auto first = ask("a"), again = ask("a"), other = ask("b"), elsewhere = ask("a", "you");
  EXPECT_EQ(jobs_.submitted.size(), 3u);
  jobs_.tell("1", "step");
  now();
  EXPECT_TRUE(again->begun);
  const auto late = ask("a");
  EXPECT_TRUE(late->begun);
  first->gone();
  EXPECT_TRUE(jobs_.cancelled.empty());
  jobs_.end("1", JobState::kDone);
  now();
  EXPECT_EQ(first->text, "");
  EXPECT_EQ(again->text, "{\"id\":1}");
  EXPECT_EQ(late->text, "{\"id\":1}");
  EXPECT_FALSE(other->begun);
  ask("a");  // once it is over, it is drawn anew
  EXPECT_EQ(jobs_.submitted.size(), 4u);
  EXPECT_FALSE(elsewhere->begun);
}

TEST_F(WaitingTest, WithoutASeedEachHasItsOwn) {
  repeats_ = false;
  ask("a");
  ask("a");
  EXPECT_EQ(jobs_.submitted.size(), 2u);
}

TEST_F(WaitingTest, NotTooManyWaitForOne) {
  for (int i = 0; i < 16; ++i) ask("a");
  EXPECT_THROW(ask("a"), QueueIsFull);
  EXPECT_EQ(jobs_.submitted.size(), 1u);
}

TEST_F(WaitingTest, EveryClientHasItsOwnCurrentJob) {
  ask("a", "you");
  ask("b", "me");
  ask("c", "me");
  EXPECT_EQ(waiting_.current("you"), "1");
  EXPECT_EQ(waiting_.current("me"), "2");
  jobs_.views["3"].state = JobState::kRunning;
  EXPECT_EQ(waiting_.current("me"), "3");
  EXPECT_EQ(waiting_.current("other"), "3");
}

TEST_F(WaitingTest, AnswersThatTakeTimeHaveAThread) {
  Background background;
  const auto exchange = std::make_shared<FakeExchange>("a");
  std::thread::id where;
  waiting_.ask(exchange, {.background = &background, .answer = [&](const JobView&) {
                            where = std::this_thread::get_id();
                            return HttpReply{.body = "it"};
                          }});
  jobs_.end("1", JobState::kDone);
  now();
  while (at_once_count() == 0) std::this_thread::yield();
  now();
  EXPECT_EQ(exchange->replied->body, "it");
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST_F(WaitingTest, AJobThatNobodyWaitsForIsCancelled) {
  const auto first = ask("a"), second = ask("a");
  EXPECT_EQ(waiting_.current("me"), "1");
  second->gone();
  first->gone();
  EXPECT_EQ(jobs_.cancelled, std::vector<std::string>{"1"});
  EXPECT_EQ(waiting_.current("me"), "");
  EXPECT_TRUE(jobs_.calls.empty());
  fifteen_seconds_later();
  EXPECT_EQ(first->text, "");
}

}  // namespace
}  // namespace sumi::app
