// The routes of OpenAI's face, with jobs that do what a test says and time that passes when it says so.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/server/openai.h"
#include "base/base64.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Json = nlohmann::json;

inline std::string png_file(int64_t width, int64_t height, const std::string& parameters = "") {
  std::vector<image::PngText> texts;
  if (!parameters.empty()) texts.emplace_back("parameters", parameters);
  const auto bytes = image::encode_png(Image(width, height), texts);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::vector<std::byte> bytes_of(const Json& base64) { return from_base64(base64.get<std::string>()).value(); }

// One job that does what a test says.
class OneJob : public Jobs {
 public:
  std::string submit(Submission given) override {
    if (refuse) refuse();
    ++submissions;
    submission = std::move(given);
    seen.id = "j1";
    return seen.id;
  }
  std::optional<JobView> view(const std::string&) const override { return seen; }
  std::optional<JobState> state(const std::string&) const override { return seen.state; }
  std::vector<JobView> list() const override { return {seen}; }
  std::shared_ptr<const std::string> picture(const std::string&, int64_t number) const override {
    return seen.pictures.at(static_cast<size_t>(number)).png;
  }
  Cancelled cancel(const std::string&) override {
    ++cancelled;
    return Cancelled::kYes;
  }
  bool forget(const std::string&) override { return false; }
  bool forget_picture(const std::string&, int64_t) override { return false; }
  bool move(const std::string&, const std::string&) override { return false; }
  std::unique_ptr<Watch> watch(const std::string&, uint64_t, std::function<void(const JobEvent&)> call) override {
    calls.push_back(std::move(call));
    return std::make_unique<Watch>([this] { calls.clear(); });
  }
  JobCounts counts() const override { return {}; }
  bool drain(milliseconds) override { return true; }

  void tell(const std::string& name, const Json& data = Json::object()) {
    for (const auto& call : std::vector(calls)) call({.number = ++events, .name = name, .data = data.dump()});
  }
  void step(int64_t done, int64_t steps) { tell("step", {{"done", done}, {"steps", steps}}); }
  void preview() {
    const std::string png = png_file(8, 8);
    tell("preview", {{"number", 0}, {"png", base64_of(std::as_bytes(std::span(png)))}});
  }
  void finish(size_t pictures = 1) {
    for (size_t i = 0; i < pictures; ++i)
      seen.pictures.push_back({.number = static_cast<int64_t>(i),
                               .seed = 40 + i,
                               .width = 64,
                               .height = 32,
                               .parameters = "a cat\nSteps: 2",
                               .png = std::make_shared<const std::string>(png_file(64, 32, "a cat\nSteps: 2"))});
    seen.state = JobState::kDone;
    seen.finished = 1700000000.7;
    tell("done");
  }
  void fail(ErrorKind kind, const std::string& sentence) {
    seen.state = JobState::kFailed;
    seen.error = sentence;
    seen.error_kind = kind;
    tell("failed", {{"error", sentence}});
  }

  std::function<void()> refuse;
  Submission submission;
  JobView seen{.settings = R"({"width": 64, "height": 32})"};
  std::vector<std::function<void(const JobEvent&)>> calls;
  int submissions = 0, cancelled = 0;
  uint64_t events = 0;
};

// Keeps a background from what it is given.
class Held {
 public:
  explicit Held(Background& background) {
    const auto begun = std::make_shared<std::promise<void>>();
    background.run([begun, end = end_.get_future().share()] {
      begun->set_value();
      end.wait();
    });
    begun->get_future().wait();
  }
  ~Held() { release(); }
  void release() {
    if (!std::exchange(released_, true)) end_.set_value();
  }

 private:
  std::promise<void> end_;
  bool released_ = false;
};

// What was answered.
struct Answered {
  std::optional<HttpReply> head;
  std::string body;
  bool ended = false;
  std::function<void()> gone;
  int status() const { return head ? head->status : 0; }
  Json json() const { return Json::parse(body); }
};

class FakeExchange : public HttpExchange {
 public:
  FakeExchange(HttpRequest request, std::shared_ptr<Answered> answered)
      : request_(std::move(request)), answered_(std::move(answered)) {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override {
    begin(std::move(reply));
    end();
  }
  void begin(HttpReply head) override {
    EXPECT_FALSE(answered_->head);
    answered_->body += head.body;
    answered_->head = std::move(head);
  }
  void write(std::string piece) override {
    EXPECT_TRUE(answered_->head && !answered_->ended);
    answered_->body += piece;
  }
  void end() override { answered_->ended = true; }
  size_t waiting() const override { return 0; }
  void on_gone(std::function<void()> call) override { answered_->gone = std::move(call); }

 private:
  HttpRequest request_;
  std::shared_ptr<Answered> answered_;
};

class OpenaiTest : public testing::Test {
 protected:
  OpenaiTest() : shelf_(make_shelf()), waiting_(jobs_, after()) {
    add_openai_routes(router_, jobs_, *shelf_, waiting_, background_, after());
  }

  std::unique_ptr<Shelf> make_shelf() {
    tools::write_byte_vocabulary(folder_.path());
    return std::make_unique<Shelf>(EngineOptions{.threads = 2},
                                   std::vector<ModelOptions>{test::tiny_options(folder_.path())});
  }
  After after() {
    return [this](milliseconds time, std::function<void()> call) {
      const std::lock_guard lock(mutex_);
      (time == milliseconds(0) ? soon_ : later_).push_back(std::move(call));
    };
  }
  // What waits for no time; false: nothing does.
  bool run_soon() {
    bool any = false;
    for (;;) {
      std::deque<std::function<void()>> calls;
      {
        const std::lock_guard lock(mutex_);
        calls.swap(soon_);
      }
      if (calls.empty()) return any;
      any = true;
      for (const auto& call : calls) call();
    }
  }
  void wait_for_background() {
    const auto done = std::make_shared<std::promise<void>>();
    while (!background_.run([done] { done->set_value(); })) std::this_thread::yield();
    done->get_future().wait();
  }
  // With what the background gives it to do.
  void settle() {
    do wait_for_background();
    while (run_soon());
  }
  void let_time_pass() {
    for (const auto& call : std::exchange(later_, {})) call();
    settle();
  }
  std::shared_ptr<Answered> ask(const std::string& path, const std::string& type, const std::string& body,
                                const HttpHeaders& headers = {{"host", "localhost:7860"}}) {
    auto answered = send(path, type, body, headers);
    settle();
    return answered;
  }
  std::shared_ptr<Answered> send(const std::string& path, const std::string& type, const std::string& body,
                                 HttpHeaders headers = {{"host", "localhost:7860"}}) {
    headers.emplace_back("content-type", type);
    auto answered = std::make_shared<Answered>();
    router_.answer(std::make_shared<FakeExchange>(HttpRequest{.method = "POST",
                                                              .path = "/v1/images/" + path,
                                                              .headers = std::move(headers),
                                                              .body = body,
                                                              .peer = "10.0.0.1"},
                                                  answered));
    return answered;
  }
  std::shared_ptr<Answered> generate(const std::string& fields = "") {
    return ask("generations", "application/json; charset=utf-8",
               R"({"prompt": "a cat")" + (fields.empty() ? "" : ", " + fields) + "}");
  }
  void step(int64_t done, int64_t steps) {
    jobs_.step(done, steps);
    settle();
  }
  static void expect_error(const Answered& answered, int status, const std::string& type, const Json& param,
                           const Json& code, const std::string& part) {
    EXPECT_EQ(answered.status(), status);
    ASSERT_TRUE(answered.ended);
    const Json error = answered.json().at("error");
    EXPECT_EQ(error.at("type"), type);
    EXPECT_EQ(error.at("param"), param);
    EXPECT_EQ(error.at("code"), code);
    EXPECT_THAT(error.at("message").get<std::string>(), HasSubstr(part));
  }
  struct Event {
    std::string name;
    Json data;
  };
  static std::vector<Event> events_of(const std::string& body) {
    std::vector<Event> events;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      EXPECT_NE(end, std::string::npos);
      const std::string text = body.substr(at, end - at);
      at = end + 2;
      if (text.starts_with(':')) continue;
      const size_t line = text.find('\n');
      EXPECT_TRUE(text.starts_with("event: ") && text.substr(line).starts_with("\ndata: "));
      events.push_back({text.substr(7, line - 7), Json::parse(text.substr(line + 7))});
    }
    return events;
  }
  static std::vector<std::string> names_of(const std::vector<Event>& events) {
    std::vector<std::string> names;
    for (const Event& event : events) {
      names.push_back(event.name);
      if (event.name != "error") {
        EXPECT_EQ(event.data.at("type"), event.name);
      }
    }
    return names;
  }

  const test::TempFolder folder_;
  std::mutex mutex_;  // of the next two
  std::deque<std::function<void()>> soon_, later_;
  OneJob jobs_;
  std::unique_ptr<Shelf> shelf_;
  Waiting waiting_;
  Router router_;
  Background background_;
};

inline std::string form_part(const std::string& disposition, const std::string& body) {
  return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + body + "\r\n";
}
inline constexpr const char* kForm = "multipart/form-data; boundary=b";
inline std::string small_edit() {
  return form_part("name=\"image\"; filename=\"a.png\"", png_file(64, 32)) + form_part("name=\"prompt\"", "a dog") +
         "--b--\r\n";
}

}  // namespace sumi::app
