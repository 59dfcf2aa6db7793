#include "app/server/training.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "app/server/extras.h"
#include "base/check.h"
#include "tests/support/http_client.h"
#include "tests/support/tiny_engine.h"
#include "train/report.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kHead = "step,loss,grad_norm,lr,seconds\n";
const std::string kPng = "\x89PNG\r\n\x1a\nthe rest";

std::string lines(int64_t count, int64_t first = 0) {
  std::string text;
  for (int64_t i = first; i < first + count; ++i) text += fmt::format("{},{},1.5,1e-05,0.250\n", i, 1.0 / (i + 1));
  return text;
}

class TrainingTest : public testing::Test {
 protected:
  void put(const std::string& file, std::string_view content) const { test::write_file(folder_ / file, content); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const TrainingRun& run : runs().list()) names.push_back(run.name);
    return names;
  }
  TrainingRuns runs() const { return TrainingRuns({folder_ / "all", folder_ / "one", folder_ / "not there"}); }

  const test::TempFolder folder_;
};

TEST_F(TrainingTest, FindsRuns) {
  EXPECT_THAT(runs().list(), IsEmpty());
  put("all/b/metrics.csv", kHead + lines(3));
  put("all/a/metrics.csv", kHead);
  put("all/no run/model.safetensors", "x");
  put("all/.hidden/metrics.csv", kHead);
  put("all/deeper/still/metrics.csv", kHead);
  put("one/metrics.csv", kHead + lines(2));
  put("one/inner/metrics.csv", kHead);
  EXPECT_THAT(names(), ElementsAre("a", "b", "one"));
  const std::vector<TrainingRun> list = runs().list();
  EXPECT_EQ(list[0].step, 0);
  EXPECT_FALSE(list[0].loss);
  EXPECT_EQ(list[1].step, 3);
  EXPECT_DOUBLE_EQ(list[1].loss.value(), 1.0 / 3);
  EXPECT_GT(list[1].updated, 1e9);
  EXPECT_FALSE(list[1].running);
  EXPECT_EQ(list[1].steps, 0);
  EXPECT_EQ(runs().folder_of("one"), folder_ / "one");
  for (const char* name : {"..", ".", "", "all/a", "inner", ".hidden", "no run"}) EXPECT_FALSE(runs().folder_of(name));
}

TEST_F(TrainingTest, TwoRunsOfOneName) {
  put("all/one/metrics.csv", kHead);
  put("one/metrics.csv", kHead);
  EXPECT_THAT(names(), ElementsAre("one", "one (2)"));
  EXPECT_EQ(runs().folder_of("one (2)"), folder_ / "one");
}

TEST_F(TrainingTest, KnowsWhetherATrainerIsAtIt) {
  put("one/metrics.csv", kHead + lines(1));
  put("one/.lock", "");
  EXPECT_FALSE(runs().list().at(0).running);
  const int lock = open((folder_ / "one/.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(runs().list().at(0).running);
  close(lock);
  EXPECT_FALSE(runs().list().at(0).running);
}

TEST_F(TrainingTest, TheReportTellsTheLength) {
  put("one/metrics.csv", kHead + lines(4));
  train::write_report(folder_ / "one", {{"from", "sd"}, {"steps", "4 of 2000"}});
  EXPECT_EQ(runs().list().at(0).steps, 2000);
  put("one/metrics.csv", kHead + lines(2001));  // resumed for longer: the old report is wrong
  EXPECT_EQ(runs().list().at(0).steps, 0);
}

TEST_F(TrainingTest, BrokenLinesAreLeftOut) {
  put("one/metrics.csv",
      kHead + lines(2) + "\nx,y,z\n2,0.5\n3,nan,1,inf,0.25\n,,,,\n-1,1,1,1,1\n5,0.25,1,1e-05,0.2\n6,0.1");
  const auto log = read_training_log(folder_ / "one");
  ASSERT_EQ(log.size(), 4u);
  EXPECT_EQ(log[0].step, 1);
  EXPECT_DOUBLE_EQ(log[1].loss.value(), 0.5);
  EXPECT_DOUBLE_EQ(log[1].lr.value(), 1e-5);
  EXPECT_DOUBLE_EQ(log[1].seconds.value(), 0.25);
  EXPECT_EQ(log[2].step, 4);
  EXPECT_FALSE(log[2].loss);
  EXPECT_FALSE(log[2].lr);
  EXPECT_EQ(log[3].step, 6);
  EXPECT_EQ(runs().list().at(0).step, 6);
  put("one/metrics.csv", "step,lo");
  EXPECT_THAT(read_training_log(folder_ / "one"), IsEmpty());
  EXPECT_THROW((void)read_training_log(folder_ / "nowhere"), Error);
}

TEST_F(TrainingTest, ColumnsAreFoundByName) {
  put("one/metrics.csv", "loss,step,perceptual\n0.5,7,1\n");
  const auto log = read_training_log(folder_ / "one");
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].step, 8);
  EXPECT_DOUBLE_EQ(log[0].loss.value(), 0.5);
  EXPECT_FALSE(log[0].lr);
}

TEST_F(TrainingTest, LongLogsAreThinned) {
  for (const int64_t count : {1, 2, 1999, 2000, 2001, 4001, 50'000}) {
    put("one/metrics.csv", kHead + lines(count));
    const auto log = read_training_log(folder_ / "one");
    EXPECT_LE(log.size(), 2000u) << count;
    EXPECT_GE(log.size(), std::min<size_t>(static_cast<size_t>(count), 999)) << count;
    EXPECT_EQ(log.front().step, 1) << count;
    EXPECT_EQ(log.back().step, count);
    EXPECT_EQ(runs().list().at(0).step, count);
    for (size_t i = 2; i + 1 < log.size(); ++i)
      ASSERT_EQ(log[i].step - log[i - 1].step, log[1].step - log[0].step) << count;
  }
}

TEST_F(TrainingTest, SamplesAreThoseOfTheTrainer) {
  put("one/metrics.csv", kHead);
  put("one/samples/00000500.png", kPng);
  put("one/samples/00001000.png", "<svg onload=alert(1)>");
  put("one/samples/123456789.png", kPng);
  put("one/samples/500.png", kPng);
  put("one/samples/.00000100.png.x1", kPng);
  put("one/samples/+0000007.png", kPng);
  EXPECT_THAT(training_samples(folder_ / "one"), ElementsAre(500, 1000, 123456789));
  EXPECT_EQ(read_training_sample(folder_ / "one", 500), kPng);
  EXPECT_THROW((void)read_training_sample(folder_ / "one", 1000), Error);  // no PNG
  EXPECT_THROW((void)read_training_sample(folder_ / "one", 501), Error);
}

TEST_F(TrainingTest, IsServed) {
  tools::write_byte_vocabulary(folder_.path());
  put("all/a run/metrics.csv", kHead + lines(3) + "3,nan,1,1e-05,0.25\n");
  put("all/a run/samples/00000002.png", kPng);
  put("all/secret.csv", "x");
  Shelf shelf({.threads = 1}, {test::tiny_options(folder_.path())});
  const Library library;
  Router router;
  HttpServer server({}, [&](std::shared_ptr<HttpExchange> exchange) { router.answer(exchange); });
  Background background;
  add_extra_routes(router, shelf, library, background, {.runs = {folder_ / "all"}});
  std::thread thread([&] { server.run(); });
  const auto get = [&](const std::string& path) { return test::ask(server.port(), "GET", path); };
  EXPECT_EQ(Json::parse(get("/v1/options").body).at("training"), true);
  const Json runs = Json::parse(get("/v1/training").body).at("runs");
  EXPECT_EQ(runs.at(0).at("name"), "a run");
  EXPECT_EQ(runs.at(0).at("step"), 4);
  EXPECT_TRUE(runs.at(0).at("loss").is_null());
  const Json run = Json::parse(get("/v1/training/a%20run").body);
  EXPECT_EQ(run.at("log").at(0), Json::parse(R"({"step": 1, "loss": 1.0, "lr": 1e-05, "seconds": 0.25})"));
  EXPECT_TRUE(run.at("log").at(3).at("loss").is_null());
  const std::string url = run.at("samples").at(0).at("url");
  EXPECT_EQ(url, "/v1/training/a%20run/samples/2");
  const auto sample = get(url);
  EXPECT_EQ(sample.status, 200);
  EXPECT_EQ(sample.body, kPng);
  EXPECT_EQ(sample.header("Content-Type"), "image/png");
  EXPECT_EQ(sample.header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(sample.header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  for (const char* path :
       {"/v1/training/none", "/v1/training/..%2fall", "/v1/training/%2e%2e/samples/2", "/v1/training/secret.csv",
        "/v1/training/a%20run/samples/3", "/v1/training/a%20run/samples/x", "/v1/training/a%20run/samples/..%2fx",
        "/v1/training/a%20run/samples/-1", "/v1/training/a%20run%00/samples/2"}) {
    const auto answer = get(path);
    EXPECT_TRUE(answer.status == 404 || answer.status == 400) << path << " " << answer.status;
    EXPECT_EQ(answer.body.find(folder_.path().string()), std::string::npos) << path;
  }
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace sumi::app
