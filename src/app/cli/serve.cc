// sumi serve: draws for programs that ask over HTTP.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/process.h"
#include "app/cli/serving.h"
#include "app/server/background.h"
#include "app/server/extras.h"
#include "app/server/guard.h"
#include "app/server/job_store.h"
#include "app/server/journal.h"
#include "app/server/local_jobs.h"
#include "app/server/native.h"
#include "app/server/openai.h"
#include "app/server/openapi.h"
#include "app/server/router.h"
#include "app/server/shared_jobs.h"
#include "app/server/web.h"
#include "app/server/webui.h"
#include "base/check.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kShortestToken = 16;

struct ServeFlags {
  GuardOptions guard;
  int64_t port = 7860, most_queued = 100, drain_seconds = 30, together = 4;
  std::string token_file, state, ui, log = "text";
  std::vector<std::string> runs;
  ServingFlags serving;
};

std::string read_token(const std::string& file) {
  if (file.empty()) return {};
  std::string token = read_secret(file);
  SUMI_CHECK_KIND(kUsage, token.size() >= kShortestToken,
                  "{}: the token has {} characters; it must have at least {} (`openssl rand -hex 32` makes one)", file,
                  token.size(), kShortestToken);
  return token;
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
      const auto end = std::chrono::steady_clock::now() + patience_;
      jobs_.drain(patience_);
      let_answers_out(end);
      server_.stop();
    });
  }

  // Those that wait for the last jobs get their answers, as long as patience lasts, and a second at least.
  void let_answers_out(std::chrono::steady_clock::time_point end) {
    server_.stop_accepting();
    end = std::max(end, std::chrono::steady_clock::now() + seconds(1));
    while (server_.connections() > 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(50));
  }

  HttpServer& server_;
  Jobs& jobs_;
  seconds patience_;
  std::thread thread_;
};

void check(const ServeFlags& flags) {
  const auto within = [](const char* name, int64_t value, int64_t least, int64_t most) {
    SUMI_CHECK_KIND(kUsage, value >= least && value <= most, "{} must be from {} to {}, not {}", name, least, most,
                    value);
  };
  within("--port", flags.port, 0, 65535);
  within("--max-queue", flags.most_queued, 1, 1000);
  within("--drain", flags.drain_seconds, 0, 3600);
  within("--together", flags.together, 1, 64);
  SUMI_CHECK_KIND(kUsage, flags.serving.queue.empty() || flags.state.empty(),
                  "--state keeps jobs of this process; with --queue they are kept in Redis, so leave it out");
}

// Each connection takes a descriptor: as many as the system gives.
void take_all_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::unique_ptr<Jobs> make_jobs(const ServeFlags& flags, Shelf& shelf, const Library& library, JobStore* store,
                                Journal& journal) {
  const auto on_end = [&journal](const JobView& view) { journal.job(view); };
  const auto most_queued = static_cast<size_t>(flags.most_queued);
  if (!flags.serving.queue.empty())
    return std::make_unique<SharedJobs>(
        flags.serving.queue_address(), shelf, library,
        SharedJobsOptions{.most_queued = most_queued,
                          .redis = {.answer_time = milliseconds(5000)},  // the server's thread waits for it
                          .on_end = on_end});
  return std::make_unique<LocalJobs>(
      shelf, library,
      LocalJobsOptions{.most_queued = most_queued, .most_together = flags.together, .store = store, .on_end = on_end});
}

int run(ServeFlags& flags) {
  check(flags);
  flags.serving.engine.apply();
  flags.guard.token = read_token(flags.token_file);
  const Guard guard(flags.guard);
  const StopsItself stops;
  take_all_descriptors();
  Journal journal(journal_form(flags.log), [](const std::string& line) { complain(line); });
  const std::vector<ModelOptions> models = flags.serving.models();
  const Library library(library_folders(models));
  Shelf shelf(flags.serving.engine.options(), models, flags.serving.model_bytes());
  shelf.get("");  // a model that cannot be opened is told of now
  std::optional<JobStore> store;
  if (!flags.state.empty()) store.emplace(flags.state);

  Router router;
  HttpServer server({.address = flags.guard.address,
                     .port = static_cast<uint16_t>(flags.port),
                     // Whoever may not ask sends no body either.
                     .admit = [&](const HttpRequest& head) { return guard.refuse(head); }},
                    [&](std::shared_ptr<HttpExchange> exchange) {
                      exchange = journal.watched(std::move(exchange));
                      const HttpRequest& request = exchange->request();
                      if (auto answer = guard.preflight(request)) return exchange->reply(std::move(*answer));
                      HttpHeaders cors = guard.cors_of(request);
                      if (auto refusal = guard.refuse(request)) {
                        refusal->headers.insert(refusal->headers.end(), cors.begin(), cors.end());
                        return exchange->reply(std::move(*refusal));
                      }
                      router.answer(with_headers(std::move(exchange), std::move(cors)));
                    });
  const After after = [&](milliseconds time, std::function<void()> call) { server.after(time, std::move(call)); };
  // Jobs end before the server, which their events go to.
  const std::unique_ptr<Jobs> made = make_jobs(flags, shelf, library, store ? &*store : nullptr, journal);
  Jobs& jobs = *made;
  Waiting waiting(jobs, after);
  Background background;
  Background submitting(HttpLimits().connections);
  Background pictures;  // which are decoded and encoded
  add_native_routes(router, jobs, shelf, submitting, after);
  add_extra_routes(router, shelf, library, background,
                   {.runs = {flags.runs.begin(), flags.runs.end()}, .elsewhere = !flags.serving.queue.empty()});
  add_openai_routes(router, jobs, shelf, waiting, pictures, after);
  add_webui_routes(router, jobs, shelf, library, waiting);
  add_openapi_route(router);
  add_web_routes(router, flags.ui);
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
  add_integer(
      app, "--together", flags->together,
      "Pictures of several jobs that are drawn in one network call, where only prompts and seeds differ; 1: none");
  app.add_option(
         "--state", flags->state,
         "Folder that keeps jobs and pictures, so that they outlive the server; by default they are kept in memory")
      ->type_name("DIR");
  add_repeatable(app, "--runs", flags->runs, "DIR",
                 "Folder of a training run, or of several, to be watched in the page; may be given several times");
  app.add_option("--log", flags->log, "What is written to standard error of jobs and requests: text, json or off")
      ->type_name("FORM")
      ->default_str(flags->log);
  app.add_option("--ui-dir", flags->ui, "Folder with the page's files in place of its own, for those who work on it")
      ->type_name("DIR");
  add_serving_options(app, flags->serving);
  return [flags] { return run(*flags); };
}

const CommandRegistration kRegistration({
    .name = "serve",
    .help = "Draw in the browser and for other programs, over HTTP",
    .examples = R"(Examples:
  sumi serve                         # then open http://127.0.0.1:7860 in a browser
  sumi serve --ckpt sd-v1-4.ckpt --state ~/pictures
  curl -s http://127.0.0.1:7860/v1/jobs -H 'Content-Type: application/json' \
      -d '{"request": {"prompts": ["a red apple"]}}'
  openssl rand -hex 32 > token && sumi serve --host 0.0.0.0 --token-file token
Programs that speak the API of OpenAI's pictures or of A1111's web UI can be pointed at it; docs/server.md has what can
be asked. Nothing that a client sends names a file outside the models' folders, and nothing is fetched.
)",
    .declare = declare,
});

}  // namespace
}  // namespace sumi::app
