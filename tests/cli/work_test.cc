// Servers and workers of one queue in Redis, as programs.
#include <map>

#include "tests/cli/serve_fixture.h"
#include "tests/support/redis_server.h"

namespace sumi::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class WorkTest : public ServeTest {
 protected:
  std::string queue() const { return "redis://127.0.0.1:" + std::to_string(redis_.port()); }
  std::unique_ptr<Child> worker() const {
    auto child = std::make_unique<Child>(
        Words{SUMI_BINARY, "work", "--queue", queue(), "--heartbeat", "2", "--threads", "1"} + model(), isolated({}));
    EXPECT_TRUE(child->wait_until([&] { return child->out().find(" draws for ") != std::string::npos; }))
        << child->err();
    return child;
  }

  RedisServer redis_{here() / "redis"};
};

// Two workers, one killed in mid-job, Redis started again in between: all jobs come out, each once, with the bytes of a
// single machine.
TEST_F(WorkTest, NothingIsLost) {
  constexpr int kJobs = 100;
  start();
  std::map<int, std::string> alone;
  for (int seed = 0; seed < kJobs; ++seed) {
    const std::string id = submit(drawing(seed));
    events(id);
    alone[seed] = get("/v1/jobs/" + id + "/pictures/0").body;
  }
  server_.reset();
  start({"--queue", queue(), "--max-queue", "200"});
  const auto first = worker();
  auto second = worker();
  std::map<std::string, int> seeds;
  std::string victim;
  for (int seed = 0; seed < kJobs; ++seed) {
    if (seed == kJobs / 2) victim = submit(drawing(1000, 700), R"(, "priority": 5)");  // drawn next, and for long
    seeds[submit(drawing(seed))] = seed;
  }
  ASSERT_TRUE(server_->wait_until([&] { return job(victim).value("done", 0) > 0; }));
  const auto drawn_by = [&](const Child& child) { return child.cpu_seconds(); };
  const double before = drawn_by(*second);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const bool has_it = drawn_by(*second) > before + 0.05;
  Child& killed = has_it ? *second : *first;
  killed.send(SIGKILL);
  redis_.stop();
  redis_.start();
  seeds[victim] = -1;
  const auto over = [&] {
    for (const auto& [id, seed] : seeds) {
      const std::string state = job(id)["state"];
      if (state == "queued" || state == "running") return false;
    }
    return true;
  };
  ASSERT_TRUE(server_->wait_until(over));
  for (const auto& [id, seed] : seeds) {
    const json view = job(id);
    EXPECT_EQ(view["state"], "done") << view.dump();
    EXPECT_EQ(view["pictures"].size(), 1u);
    EXPECT_EQ(view["done"], view["steps"]);
    if (seed >= 0) EXPECT_EQ(get("/v1/jobs/" + id + "/pictures/0").body, alone[seed]);
  }
  EXPECT_THAT(get("/metrics").body, HasSubstr("\nsumi_jobs_done_total " + std::to_string(kJobs + 1) + "\n"));  // once
}

TEST_F(WorkTest, AServerIsStartedAgain) {
  start({"--queue", queue()});
  const std::string waiting = submit(drawing(1));
  server_->send(SIGKILL);
  server_->wait();
  start({"--queue", queue()});
  EXPECT_EQ(job(waiting)["state"], "queued");
  const auto one = worker();
  EXPECT_THAT(events(waiting), HasSubstr("event: done\n"));
  // A signal lets the job go back.
  const std::string running = submit(drawing(2, 600));
  ASSERT_TRUE(server_->wait_until([&] { return job(running).value("done", 0) > 0; }));
  one->send(SIGTERM);
  EXPECT_EQ(one->wait().code, 0);
  ASSERT_TRUE(server_->wait_until([&] { return job(running)["state"] == "queued"; }));
  const auto two = worker();
  EXPECT_THAT(events(running), HasSubstr("event: done\n"));
}

TEST_F(WorkTest, WhatCannotWorkIsRefused) {
  EXPECT_EQ(sumi(Words{"work"} + model()).code, 64);
  const Outcome down = sumi(Words{"work", "--queue", "redis://:secret@127.0.0.1:1"} + model());
  EXPECT_EQ(down.code, 69);
  EXPECT_THAT(down.err, HasSubstr("redis://127.0.0.1:1"));
  EXPECT_EQ(down.err.find("secret"), std::string::npos);
  EXPECT_EQ(sumi(Words{"work", "--queue", "nonsense"} + model()).code, 64);
  EXPECT_EQ(sumi(Words{"serve", "--queue", queue(), "--state", "x"} + model()).code, 64);
  EXPECT_EQ(sumi(Words{"serve", "--queue", "redis://127.0.0.1:1"} + model()).code, 69);
}

}  // namespace
}  // namespace sumi::test
