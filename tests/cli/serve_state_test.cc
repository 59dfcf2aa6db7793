// What outlives a server, and what a server outlives: kills, load, models that change.
#include <filesystem>
#include <thread>

#include "tests/cli/serve_fixture.h"

namespace sumi::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Killed in mid-job: what was finished is there, what was queued is drawn, with the same bytes.
TEST_F(ServeTest, JobsOutliveAKill) {
  start({"--state", "state", "--together", "1"});
  const std::string done = submit(drawing(7));
  events(done);
  const std::string picture = get("/v1/jobs/" + done + "/pictures/0").body;
  const std::string running = submit(drawing(1, 400)), queued = submit(drawing(8));
  ASSERT_TRUE(server_->wait_until([&] { return job(running).value("done", 0) > 0; }));
  server_->send(SIGKILL);
  server_->wait();
  start({"--state", "state", "--together", "1"});
  EXPECT_EQ(job(done)["state"], "done");
  EXPECT_EQ(get("/v1/jobs/" + done + "/pictures/0").body, picture);
  EXPECT_THAT(events(running), HasSubstr("event: done\n"));
  EXPECT_THAT(events(queued), HasSubstr("event: done\n"));
  const std::string again = submit(drawing(8));
  events(again);
  EXPECT_EQ(get("/v1/jobs/" + queued + "/pictures/0").body, get("/v1/jobs/" + again + "/pictures/0").body);
  // One server at a time.
  const Outcome second = sumi(Words{"serve", "--port", "0", "--state", "state"} + model());
  EXPECT_EQ(second.code, 69);
  EXPECT_THAT(second.err, HasSubstr("another server"));
}

// At any moment.
TEST_F(ServeTest, KilledAnywhereNothingFinishedIsLost) {
  std::map<std::string, std::string> finished;  // and their bytes
  for (int round = 0; round < 6; ++round) {
    start({"--state", "state"});
    for (const auto& [id, bytes] : finished) EXPECT_EQ(get("/v1/jobs/" + id + "/pictures/0").body, bytes);
    for (int i = 0; i < 6; ++i) submit(drawing(10 * round + i, 3));
    std::this_thread::sleep_for(std::chrono::milliseconds(37 * round));
    for (const json& one : jobs()) {
      const std::string id = one["id"];
      if (one["state"] == "done") finished[id] = get("/v1/jobs/" + id + "/pictures/0").body;
    }
    server_->send(SIGKILL);
    server_->wait();
  }
  start({"--state", "state"});
  const auto over = [&] {
    for (const json& one : jobs()) {
      if (one["state"] == "queued" || one["state"] == "running") return false;
    }
    return true;
  };
  ASSERT_TRUE(server_->wait_until(over));
  const json all = jobs();
  EXPECT_EQ(all.size(), 36u);
  for (const json& one : all) EXPECT_EQ(one["state"], "done") << one.dump();
}

// F16: at once, each with its own bytes or a 429.
TEST_F(ServeTest, AHundredAtOnce) {
  start({"--max-queue", "40"});
  std::vector<std::string> alone;
  for (int seed = 0; seed < 4; ++seed) {
    const std::string id = submit(drawing(seed));
    events(id);
    alone.push_back(get("/v1/jobs/" + id + "/pictures/0").body);
  }
  std::vector<std::thread> clients;
  std::atomic<int> equal{0}, full{0}, other{0};
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&, i] {
      const HttpAnswer answer = post("/v1/jobs", R"({"request": )" + drawing(i % 4) + "}");
      if (answer.status == 429) {
        ++full;
        return;
      }
      if (answer.status != 201) {
        ++other;
        return;
      }
      const std::string id = json::parse(answer.body)["id"];
      events(id);
      ++(get("/v1/jobs/" + id + "/pictures/0").body == alone[static_cast<size_t>(i % 4)] ? equal : other);
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(other, 0);
  EXPECT_GE(equal, 40);
  EXPECT_EQ(equal + full, 100);
  EXPECT_EQ(get("/health").status, 200);
}

size_t descriptors_of(pid_t pid) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) ++count;
  return count;
}

double resident_of(const std::string& metrics) {
  const std::string name = "\nsumi_resident_memory_bytes ";
  return std::stod(metrics.substr(metrics.find(name) + name.size()));
}

// F28, in small: `ci.sh soak-serve` draws ten thousand.
TEST_F(ServeTest, ManyJobsLeaveNothingBehind) {
  start();
  const auto draw = [&](int jobs) {
    for (int i = 0; i < jobs; ++i) {
      const std::string id = submit(drawing(i, 1));
      events(id);
      EXPECT_EQ(ask(port_, "DELETE", "/v1/jobs/" + id).status, 204);
    }
  };
  draw(50);
  const double before = resident_of(get("/metrics").body);
  const size_t open = descriptors_of(server_->pid());
  draw(150);
  EXPECT_LE(resident_of(get("/metrics").body), before + 20e6);
  EXPECT_LE(descriptors_of(server_->pid()), open + 2);
}

// F27: the file goes while the server draws with it.
TEST_F(ServeTest, AModelFileIsReplaced) {
  const fs::path own = here() / "own.safetensors";
  fs::copy_file(synthetic_model(), own);
  server_.emplace(Words{SUMI_BINARY, "serve", "--port", "0"} + model_at(own), isolated({}));
  ASSERT_TRUE(server_->wait_until([&] { return server_->out().find('\n') != std::string::npos; })) << server_->err();
  const std::string url = server_->out();
  port_ = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  const std::string before = submit(drawing(7));
  events(before);
  fs::rename(own, here() / "elsewhere");
  fs::copy_file(synthetic_model(), own);
  const std::string replaced = submit(drawing(7));
  events(replaced);
  ASSERT_EQ(job(replaced)["state"], "done");
  EXPECT_EQ(get("/v1/jobs/" + before + "/pictures/0").body, get("/v1/jobs/" + replaced + "/pictures/0").body);
  fs::resize_file(here() / "elsewhere", 1000);  // the file that is mapped
  const std::string cut = submit(drawing(8));
  events(cut);
  EXPECT_EQ(job(cut)["state"], "failed");
  EXPECT_THAT(job(cut)["error"].get<std::string>(), HasSubstr("own.safetensors"));
  EXPECT_EQ(job(cut)["error"].get<std::string>().find(here().string()), std::string::npos);
  EXPECT_EQ(get("/health").status, 200);
}

}  // namespace
}  // namespace sumi::test
