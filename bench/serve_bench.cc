// The running server, measured from outside: how long /health takes while a hundred jobs wait and run, what idle
// connections cost, and what drawing several jobs in one network call gains.
//
//   serve_bench [PROGRAM [serve's options...]]     by default the sumi beside the folder of the benches
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/http_client.h"
#include "tests/support/run_program.h"

namespace sumi::test {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class Server {
 public:
  explicit Server(const std::vector<std::string>& command) : child_(command, {}) {
    if (!child_.wait_until([&] { return child_.out().find('\n') != std::string::npos; }))
      throw std::runtime_error("the server does not start: " + child_.err());
    const std::string url = child_.out();
    port_ = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  uint16_t port() const { return port_; }
  std::string get(const std::string& target) const { return ask(port_, "GET", target).body; }
  double metric(const std::string& name) const {
    const std::string text = get("/metrics"), line = "\nsumi_" + name + " ";
    return std::stod(text.substr(text.find(line) + line.size()));
  }
  void submit(int seed) const {
    const json job{{"request", {{"prompts", {"a red apple"}}, {"seed", seed}, {"steps", 10}}}};
    if (ask(port_, "POST", "/v1/jobs", job.dump()).status != 201) throw std::runtime_error("a job was not taken");
  }
  // Seconds until all jobs are over.
  double wait() const {
    const auto begin = Clock::now();
    while (metric("jobs_queued") + metric("jobs_running") > 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return since(begin);
  }

 private:
  Child child_;
  uint16_t port_ = 0;
};

void print_latencies(const char* what, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  std::printf("%-44s median %6.2f ms   99%% %6.2f ms   worst %6.2f ms   of %zu\n", what,
              1e3 * seconds[seconds.size() / 2], 1e3 * seconds[seconds.size() * 99 / 100], 1e3 * seconds.back(),
              seconds.size());
}

std::vector<double> ask_health(const Server& server, int times) {
  std::vector<double> seconds;
  for (int i = 0; i < times; ++i) {
    const auto begin = Clock::now();
    server.get("/health");
    seconds.push_back(since(begin));
  }
  return seconds;
}

void measure_health(const std::vector<std::string>& command) {
  const Server server(command);
  print_latencies("/health, idle", ask_health(server, 500));
  for (int i = 0; i < 100; ++i) server.submit(i);
  std::vector<double> seconds;
  while (server.metric("jobs_queued") > 0) {
    for (const double one : ask_health(server, 20)) seconds.push_back(one);
  }
  print_latencies("/health, while 100 jobs run", std::move(seconds));
}

void measure_idle(const std::vector<std::string>& command) {
  constexpr int kConnections = 1000;
  const Server server(command);
  const double before = server.metric("resident_memory_bytes");
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < kConnections; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(server.port()));
    idle.back()->send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    idle.back()->read_until("}");
  }
  std::printf("%-44s %.2f MB\n", "1000 idle connections", 1e-6 * (server.metric("resident_memory_bytes") - before));
}

// Pairs in turn, so that what else the machine does meets both.
void measure_together(std::vector<std::string> command) {
  constexpr int kJobs = 24, kPairs = 5;
  command.insert(command.end(), {"--together", "1"});
  const Server alone(command);
  command.back() = "4";
  const Server together(command);
  const auto draw = [](const Server& server, int first) {
    for (int i = 0; i < kJobs; ++i) server.submit(first + i);
    return server.wait();
  };
  draw(alone, 0), draw(together, 0);  // the weights are loaded
  std::vector<double> ratios;
  for (int pair = 1; pair <= kPairs; ++pair) {
    const double one = draw(alone, 100 * pair), four = draw(together, 100 * pair);
    ratios.push_back(one / four);
    std::printf("%d jobs one by one %.2f s, by four %.2f s: %.2f times as fast\n", kJobs, one, four, one / four);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("%-44s %.2f\n", "four jobs in one call, median of the ratios", ratios[ratios.size() / 2]);
}

}  // namespace
}  // namespace sumi::test

int main(int count, char** words) {
  using namespace sumi::test;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  const std::filesystem::path here = std::filesystem::canonical("/proc/self/exe").parent_path();
  std::vector<std::string> command{
      count > 1 ? words[1] : (here.parent_path() / "sumi").string(), "serve", "--port", "0", "--log", "off"};
  for (int i = 2; i < count; ++i) command.emplace_back(words[i]);
  measure_health(command);
  measure_idle(command);
  measure_together(command);
  return 0;
}
