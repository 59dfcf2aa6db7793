#include "app/server/journal.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;

class Silent : public HttpExchange {
 public:
  explicit Silent(HttpReply& out) : out_(out) {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override { out_ = std::move(reply); }
  void begin(HttpReply head) override { out_ = std::move(head); }
  void write(std::string piece) override { out_.body += piece; }
  void end() override {}
  size_t waiting() const override { return 0; }
  void on_gone(std::function<void()>) override {}

 private:
  HttpReply& out_;
  const HttpRequest request_{.method = "GET", .path = "/x", .query = {{"prompt", "secret"}}, .peer = "::1"};
};

TEST(JournalTest, WritesWhatHappened) {
  std::string lines;
  HttpReply sent;
  Journal journal(Journal::Form::kJson, [&](const std::string& line) { lines += line; });
  {
    const auto exchange = journal.watched(std::make_shared<Silent>(sent));
    exchange->begin({.status = 202, .body = "ab"});
    exchange->write("cde");
    EXPECT_EQ(lines, "");
  }
  const Json json = Json::parse(lines);
  EXPECT_EQ(json["event"], "request");
  EXPECT_EQ(json["status"], 202);
  EXPECT_EQ(json["bytes"], 5);
  EXPECT_EQ(json["client"], "::1");
  EXPECT_EQ(lines.find("secret"), std::string::npos);
  lines.clear();
  journal.job({.id = "7",
               .model = "m",
               .state = JobState::kFailed,
               .started = 1,
               .finished = 3,
               .error = "broken",
               .request = R"({"prompts": ["secret"]})"});
  EXPECT_EQ(Json::parse(lines)["seconds"], 2);
  EXPECT_EQ(Json::parse(lines)["error"], "broken");
  EXPECT_EQ(lines.find("secret"), std::string::npos);
}

TEST(JournalTest, TextTellsOfJobsAndFaults) {
  std::string lines;
  HttpReply sent;
  Journal journal(Journal::Form::kText, [&](const std::string& line) { lines += line; });
  journal.watched(std::make_shared<Silent>(sent))->reply({.status = 404});
  EXPECT_EQ(lines, "");
  journal.watched(std::make_shared<Silent>(sent))->reply({.status = 503});
  EXPECT_EQ(lines, "GET /x was answered with 503\n");
  lines.clear();
  journal.job({.id = "7", .model = "m", .state = JobState::kDone, .started = 1, .finished = 3, .pictures = {{}}});
  EXPECT_EQ(lines, "job 7 done: 1 picture in 2.0 s (m)\n");
}

TEST(JournalTest, OffIsSilent) {
  HttpReply sent;
  Journal journal(journal_form("off"), [](const std::string& line) { ADD_FAILURE() << line; });
  journal.watched(std::make_shared<Silent>(sent))->reply({.status = 503});
  journal.job({});
  EXPECT_THROW(journal_form("xml"), Error);
}

TEST(WithHeadersTest, AddsThemToEveryAnswer) {
  HttpReply sent;
  const auto exchange = with_headers(std::make_shared<Silent>(sent), {{"Vary", "Origin"}});
  exchange->reply({.headers = {{"A", "b"}}});
  EXPECT_EQ(sent.headers, (HttpHeaders{{"A", "b"}, {"Vary", "Origin"}}));
  exchange->begin({});
  EXPECT_EQ(sent.headers, (HttpHeaders{{"Vary", "Origin"}}));
}

}  // namespace
}  // namespace sumi::app
