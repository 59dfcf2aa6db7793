// sumi serve: draws for programs that ask over HTTP.
#include <cstdio>
#include <memory>
#include <thread>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/find_model.h"
#include "app/cli/process.h"
#include "app/server/guard.h"
#include "app/server/jobs.h"
#include "app/server/native.h"
#include "app/server/router.h"
#include "base/check.h"
#include "base/small_file.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kShortestToken = 16, kLongestToken = 4096;

struct ServeFlags {
  GuardOptions guard;
  int64_t port = 7860, most_queued = 100, drain_seconds = 30;
  std::string token_file;
  ModelChoice model;
  EngineFlags engine;
};

std::string read_token(const std::string& file) {
  if (file.empty()) return {};
  std::string token = read_small_file(file, kLongestToken);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) token.pop_back();
  SUMI_CHECK_KIND(kUsage, token.size() >= kShortestToken,
                  "{}: the token has {} characters; it must have at least {} (`openssl rand -hex 32` makes one)", file,
                  token.size(), kShortestToken);
  return token;
}

// The chosen model first, then what this machine has.
std::vector<ModelOptions> models_of(const ServeFlags& flags) {
  std::vector<ModelOptions> models{flags.model.options(flags.engine)};
  for (const auto& found : {own_models(), bundled_models()}) {
    for (const std::filesystem::path& path : found) {
      std::error_code error;
      if (std::filesystem::equivalent(path, models[0].path, error)) continue;
      ModelOptions options = ModelChoice{.checkpoint = path.string()}.options(flags.engine);
      models.push_back(std::move(options));
    }
  }
  return models;
}

std::string url_of(const std::string& address, uint16_t port) {
  return fmt::format("http://{}:{}", address.find(':') == std::string::npos ? address : "[" + address + "]", port);
}

// Once asked to stop, finishes what is queued, for a while, and then ends the server.
class Closing {
 public:
  Closing(HttpServer& server, Jobs& jobs, seconds patience) : server_(server), jobs_(jobs), patience_(patience) {
    look();
  }
  ~Closing() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  void look() {
    if (!stop_requested()) return server_.after(milliseconds(100), [this] { look(); });
    const JobCounts counts = jobs_.counts();
    if (counts.queued + counts.running > 0)
      note(fmt::format("stopping: {} jobs are finished first, for at most {} s; a second signal ends at once",
                       counts.queued + counts.running, patience_.count()));
    thread_ = std::thread([this] {
      jobs_.drain(patience_);
      let_answers_out();
      server_.stop();
    });
  }

  // Those that wait for the last jobs get their answers; connections that only stay open do not hold up the end.
  void let_answers_out() {
    constexpr int kLooks = 20;
    server_.stop_accepting();
    for (int i = 0; i < kLooks && server_.connections() > 0; ++i) std::this_thread::sleep_for(milliseconds(50));
  }

  HttpServer& server_;
  Jobs& jobs_;
  seconds patience_;
  std::thread thread_;
};

int run(ServeFlags& flags) {
  SUMI_CHECK_KIND(kUsage, flags.port >= 0 && flags.port <= 65535, "--port must be from 0 to 65535, not {}", flags.port);
  SUMI_CHECK_KIND(kUsage, flags.most_queued >= 1 && flags.most_queued <= 1000,
                  "--max-queue must be from 1 to 1000, not {}", flags.most_queued);
  SUMI_CHECK_KIND(kUsage, flags.drain_seconds >= 0 && flags.drain_seconds <= 3600,
                  "--drain must be from 0 to 3600 seconds, not {}", flags.drain_seconds);
  flags.guard.token = read_token(flags.token_file);
  const Guard guard(flags.guard);
  const StopsItself stops;
  Shelf shelf(flags.engine.options(), models_of(flags));
  shelf.get("");  // a model that cannot be opened is told of now
  Jobs jobs(shelf, {.most_queued = static_cast<size_t>(flags.most_queued)});
  Router router;
  HttpServer server({.address = flags.guard.address, .port = static_cast<uint16_t>(flags.port)},
                    [&](const std::shared_ptr<HttpExchange>& exchange) {
                      if (auto refusal = guard.refuse(exchange->request())) return exchange->reply(std::move(*refusal));
                      router.answer(exchange);
                    });
  add_native_routes(router, jobs, shelf,
                    [&](milliseconds time, std::function<void()> call) { server.after(time, std::move(call)); });
  say(url_of(flags.guard.address, server.port()) + "\n");
  std::fflush(stdout);
  const Closing closing(server, jobs, seconds(flags.drain_seconds));
  server.run();
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<ServeFlags>();
  app.add_option("--host", flags->guard.address,
                 "Address to listen on; others than this machine's own (127.0.0.1) need --token-file")
      ->type_name("ADDRESS")
      ->default_str(flags->guard.address);
  add_integer(app, "--port", flags->port, "Port to listen on; 0: any free one");
  app.add_option("--token-file", flags->token_file, "File with a secret that every client must send as its token")
      ->type_name("FILE");
  add_repeatable(app, "--allow-host", flags->guard.hosts, "NAME",
                 "Name by which clients may call this server, beside its address; may be given several times");
  add_repeatable(app, "--allow-origin", flags->guard.origins, "ORIGIN",
                 "Site whose pages may call this server (https://example.org); may be given several times");
  add_integer(app, "--max-queue", flags->most_queued, "Jobs that may wait; more are refused");
  add_integer(app, "--drain", flags->drain_seconds,
              "Seconds for which waiting jobs are still drawn when it is stopped");
  add_model_options(app, flags->model);
  add_engine_options(app, flags->engine);
  add_precision_option(app, flags->engine);
  return [flags] { return run(*flags); };
}

const CommandRegistration kRegistration({
    .name = "serve",
    .help = "Draw for other programs, over HTTP",
    .examples = R"(Examples:
  sumi serve --ckpt sd-v1-4.ckpt
  curl -s http://127.0.0.1:7860/v1/jobs -H 'Content-Type: application/json' \
      -d '{"request": {"prompts": ["a red apple"]}}'
  openssl rand -hex 32 > token && sumi serve --host 0.0.0.0 --token-file token
Jobs are drawn one after the other; docs/server.md has what can be asked. Nothing that a client sends names a file of
this machine, and nothing is fetched.
)",
    .declare = declare,
});

}  // namespace
}  // namespace sumi::app
