// The running server: jobs over HTTP, what it refuses, how it ends.
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "image/png.h"
#include "tests/cli/serve_fixture.h"

namespace sumi::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST_F(ServeTest, DrawsWhatTheCommandLineDraws) {
  start();
  const std::string id = submit(drawing(7), R"(, "previews": true)");
  const std::string told = events(id);
  for (const char* part : {"event: running\n", "event: step\n", "event: picture\n", "event: done\n"})
    EXPECT_THAT(told, HasSubstr(part));
  const json view = job(id);
  EXPECT_EQ(view["state"], "done");
  EXPECT_EQ(view["settings"]["sampler"], "dpmpp_2m");
  EXPECT_EQ(view["request"]["prompts"][0], "a cat");
  const HttpAnswer picture = get(view["pictures"][0]["url"]);
  EXPECT_EQ(picture.header("Content-Type"), "image/png");
  EXPECT_EQ(picture.header("X-Content-Type-Options"), "nosniff");
  const Outcome drawn =
      sumi(Words{"a cat", "--W", "64", "--H", "64", "--steps", "2", "--seed", "7", "-o", "it.png"} + model());
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(picture.body, read_bytes(here() / "it.png"));
  const size_t last = told.rfind("id: ");
  const std::string number = told.substr(last + 4, told.find('\n', last) - last - 4);
  EXPECT_EQ(events(id, {"Last-Event-ID: " + number}), "");  // nothing has happened since
  EXPECT_THAT(events(id, {"Last-Event-ID: 7"}), HasSubstr("event: done\n"));  // of a server before this one
  EXPECT_EQ(json::parse(get("/v1/jobs").body)["jobs"].size(), 1u);
  EXPECT_EQ(ask(port_, "DELETE", "/v1/jobs/" + id).status, 204);
  EXPECT_EQ(get("/v1/jobs/" + id).status, 404);
}

TEST_F(ServeTest, TellsOfItself) {
  start();
  const json health = json::parse(get("/health").body);
  EXPECT_EQ(health["status"], "ok");
  EXPECT_EQ(health["queued"], 0);
  events(submit(drawing(1)));
  const std::string metrics = get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("\nsumi_jobs_done_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nsumi_steps_total 2\n"));
  const json models = json::parse(get("/v1/models").body)["models"];
  EXPECT_EQ(models[0]["name"], "tiny-f32");
  EXPECT_EQ(models[0]["loaded"], true);
}

TEST_F(ServeTest, RefusesInASentence) {
  start();
  const auto refused = [&](const std::string& body, int status, const std::string& part,
                           const Words& headers = {"Content-Type: application/json"}) {
    const HttpAnswer answer = ask(port_, "POST", "/v1/jobs", body, headers);
    EXPECT_EQ(answer.status, status) << body;
    const json error = json::parse(answer.body)["error"];
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(part)) << body;
    EXPECT_EQ(error["code"], status);
  };
  refused("", 400, "the body");
  refused("{", 400, "the body");
  refused("[]", 400, "must be an object");
  refused("{}", 400, "`request` must be given");
  refused(R"({"request": {}})", 400, "prompts");
  refused(R"({"request": {"prompts": ["a"], "steps": 1.5}})", 400, "`steps`");
  refused(R"({"request": {"prompts": ["a"], "steps": "20"}})", 400, "`steps`");
  refused(R"({"request": {"prompts": ["a"], "width": 4097}})", 400, "`width`");
  refused(R"({"request": {"prompts": ["a"], "batch": 1000000000}})", 400, "`batch`");
  refused(R"({"request": {"prompts": ["a"], "scale": NaN}})", 400, "the body");
  refused(R"({"request": {"prompts": ["a"], "steps": 1, "steps": 2}})", 400, "steps");
  refused(R"({"request": {"prompts": ["a"], "init": "/etc/passwd"}})", 400, "opens no file");
  refused(R"({"request": {"prompts": ["a"], "init": "http://127.0.0.1/x.png"}})", 400, "fetches nothing");
  refused(R"({"request": {"prompts": ["a"], "init": "data:image/png;base64,!!"}})", 400, "base64");
  refused(R"({"request": {"prompts": ["a"]}, "model": "../x"})", 400, "there is no model");
  refused(R"({"request": {"prompts": ["a"]}, "priority": 1e9})", 400, "`priority`");
  refused(R"({"request": {"prompts": ["a"]}, "color": 1})", 400, "there is no field `color`");
  refused(drawing(1), 415, "Content-Type", {"Content-Type: text/plain"});
  refused(std::string(5000, '['), 400, "the body");
  EXPECT_EQ(get("/v1/jobs/nobody").status, 404);
  EXPECT_EQ(get("/v1/jobs/nobody/events").status, 404);
  EXPECT_EQ(post("/v1/jobs/nobody/cancel").status, 404);
  EXPECT_EQ(ask(port_, "PATCH", "/v1/jobs").status, 405);
  for (const char* target : {"/images/..%2f..%2fetc/passwd", "/v1/%00", "/v1/..%5c"})
    EXPECT_EQ(get(target).status, 400) << target;
  EXPECT_EQ(ask(port_, "GET", "/health", "", {"Host: evil.example"}).status, 403);
  EXPECT_EQ(ask(port_, "GET", "/health", "", {"Origin: null"}).status, 403);
  EXPECT_EQ(json::parse(get("/health").body)["status"], "ok");
}

TEST_F(ServeTest, CancelsInEveryState) {
  start();
  const std::string running = submit(drawing(1, 9000)), queued = submit(drawing(2));
  EXPECT_EQ(job(queued)["state"], "queued");
  EXPECT_EQ(post("/v1/jobs/" + queued + "/cancel").status, 200);
  EXPECT_EQ(ask(port_, "DELETE", "/v1/jobs/" + running).status, 409);
  EXPECT_EQ(post("/v1/jobs/" + running + "/cancel").status, 200);
  EXPECT_THAT(events(running), HasSubstr("event: cancelled\n"));
  EXPECT_EQ(post("/v1/jobs/" + running + "/cancel").status, 409);
  EXPECT_EQ(job(queued)["state"], "cancelled");
}

TEST_F(ServeTest, AFullQueueSaysWhenToComeBack) {
  start({"--max-queue", "1"});
  const std::string running = submit(drawing(1, 9000));
  ASSERT_TRUE(server_->wait_until([&] { return job(running)["state"] == "running"; }));
  submit(drawing(2));
  const HttpAnswer answer = post("/v1/jobs", R"({"request": )" + drawing(3) + "}");
  EXPECT_EQ(answer.status, 429);
  EXPECT_GT(std::stoi(answer.header("Retry-After")), 0);
}

TEST_F(ServeTest, ATokenIsAskedFor) {
  write_file(here() / "token", "0123456789abcdef0123\n");
  start({"--token-file", "token"});
  EXPECT_EQ(get("/v1/jobs").status, 401);
  EXPECT_EQ(ask(port_, "GET", "/v1/jobs", "", {"Authorization: Bearer 0123456789abcdef0123"}).status, 200);
  EXPECT_EQ(get("/health").status, 200);
  // Answered before the body is there.
  HttpConnection stranger(port_);
  stranger.send(
      "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
      "60000000\r\n\r\n");
  EXPECT_THAT(stranger.read_until("\r\n\r\n"), HasSubstr(" 401 "));
}

TEST_F(ServeTest, WhatCannotServeIsRefusedAtOnce) {
  const auto refused = [&](const Words& words, int code, const std::string& part) {
    const Outcome outcome = sumi(Words{"serve"} + words + model());
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_EQ(outcome.out, "");
  };
  refused({"--host", "0.0.0.0", "--port", "0"}, 64, "--token-file");
  write_file(here() / "short", "abc\n");
  refused({"--host", "0.0.0.0", "--port", "0", "--token-file", "short"}, 64, "at least 16");
  refused({"--port", "65536"}, 64, "--port");
  refused({"--host", "8.8.8.8", "--port", "0", "--token-file", "short"}, 64, "at least 16");
  start();
  refused({"--port", std::to_string(port_)}, 69, "is taken");
}

// The first signal lets the queue end, and takes no more.
TEST_F(ServeTest, ASignalDrains) {
  start();
  const std::string long_one = submit(drawing(1, 300)), next = submit(drawing(2));
  std::string told;
  std::thread watcher([&] { told = events(next); });
  server_->send(SIGTERM);
  ASSERT_TRUE(server_->wait_until([&] { return server_->err().find("are finished first") != std::string::npos; }));
  EXPECT_EQ(post("/v1/jobs", R"({"request": )" + drawing(3) + "}").status, 503);
  watcher.join();
  EXPECT_THAT(told, HasSubstr("event: done\n"));
  EXPECT_EQ(server_->wait().code, 0);
}

TEST_F(ServeTest, PatienceEnds) {
  start({"--drain", "0"});
  const std::string id = submit(drawing(1, 9000));
  ASSERT_TRUE(server_->wait_until([&] { return job(id)["state"] == "running"; }));
  server_->send(SIGINT);
  EXPECT_EQ(server_->wait().code, 0);
}

}  // namespace
}  // namespace sumi::test
