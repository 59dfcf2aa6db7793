#include "app/server/native.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/server/http_text.h"
#include "app/server/submission.h"
#include "base/check.h"
#include "base/parse_number.h"
#include "engine/memory_plan.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr milliseconds kHeartbeat{15'000};
constexpr size_t kMostWaiting = 4 << 20;       // bytes that a watcher has not taken: it is let go
constexpr size_t kMostForPreview = 256 << 10;  // beyond, previews are left out

HttpReply json_reply(const Json& json, int status = 200) { return {.status = status, .body = io::json_line(json)}; }

Json json_of(const KeptPicture& picture, const std::string& job) {
  return {{"number", picture.number},   {"seed", picture.seed},
          {"width", picture.width},     {"height", picture.height},
          {"prompt", picture.prompt},   {"parameters", picture.parameters},
          {"flagged", picture.flagged}, {"url", fmt::format("/v1/jobs/{}/pictures/{}", job, picture.number)}};
}

Json json_of(const JobView& view) {
  Json json{{"id", view.id},          {"state", name_of(view.state)}, {"model", view.model},
            {"vae", view.vae},        {"upscaling", view.upscaling},  {"priority", view.priority},
            {"created", view.created}};
  if (view.started > 0) json["started"] = view.started;
  if (view.finished > 0) json["finished"] = view.finished;
  if (view.state == JobState::kQueued) json["place"] = view.place;
  if (view.steps > 0) json.update({{"done", view.done}, {"steps", view.steps}});
  if (view.seconds_left) json["seconds_left"] = *view.seconds_left;
  if (view.state == JobState::kFailed) json["error"] = view.error;
  json["request"] = Json::parse(view.request);
  if (!view.settings.empty()) json["settings"] = Json::parse(view.settings);
  json["warnings"] = view.warnings;
  json["pictures"] = Json::array();
  for (const KeptPicture& picture : view.pictures) json["pictures"].push_back(json_of(picture, view.id));
  return json;
}

HttpReply no_such_job() { return refusal(404, "there is no such job; it may have been forgotten"); }

// A watcher of a job by Server-Sent Events.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(std::shared_ptr<HttpExchange> exchange, After after)
      : exchange_(std::move(exchange)), after_(std::move(after)) {}

  bool begin(Jobs& jobs, const std::string& id) {
    if (!jobs.state(id)) return false;
    const std::string* last = exchange_->request().header("last-event-id");
    const uint64_t seen = last == nullptr ? 0 : number_in<uint64_t>(*last).value_or(0);
    exchange_->begin({.type = "text/event-stream", .headers = {{"Cache-Control", "no-store"}}});
    watch_ = jobs.watch(id, seen, [self = shared_from_this()](const JobEvent& event) { self->send(event); });
    const auto state = jobs.state(id);
    if (!state || is_over(*state)) finish();  // nothing comes any more
    exchange_->on_gone([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->watch_.reset();
    });
    beat();
    return true;
  }

 private:
  void send(const JobEvent& event) {
    const size_t waiting = exchange_->waiting();
    if (event.name == "preview" && waiting > kMostForPreview) return;
    exchange_->write(fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.number, event.name, event.data));
    if (ends(event) || waiting > kMostWaiting) finish();
  }

  // The watch holds this object, and cannot be taken away by the call that it makes.
  void finish() {
    if (over_.exchange(true)) return;
    exchange_->end();
    after_(milliseconds(0), [self = shared_from_this()] { self->watch_.reset(); });
  }

  // Proxies and clients give up on silence.
  void beat() {
    after_(kHeartbeat, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || !self->watch_) return;
      self->exchange_->write(": \n\n");
      self->beat();
    });
  }

  std::shared_ptr<HttpExchange> exchange_;
  After after_;
  std::unique_ptr<Jobs::Watch> watch_;  // of the server's thread
  std::atomic<bool> over_{false};
};

HttpReply submit(Jobs& jobs, Submission submission) {
  try {
    const std::string id = jobs.submit(std::move(submission));
    const auto view = jobs.view(id);  // none where it is over and forgotten by now
    HttpReply reply = json_reply(view ? json_of(*view) : Json{{"id", id}}, 201);
    reply.headers.emplace_back("Location", "/v1/jobs/" + id);
    return reply;
  } catch (const QueueIsFull& full) {
    HttpReply reply = refusal(429, full.what());
    reply.headers.emplace_back("Retry-After", std::to_string(QueueIsFull::kRetryAfter));
    return reply;
  }
}

// Whatever a browser is made to believe, nothing in a picture runs.
HttpHeaders picture_headers() {
  return {{"Cache-Control", "private, immutable"}, {"Content-Security-Policy", "default-src 'none'; sandbox"}};
}

// The job to move before; empty: to the end.
std::string before_in(const HttpRequest& request) {
  const auto json = io::parse_json(request.body, {.subject = "the body", .kind = ErrorKind::kUsage, .max_bytes = 4096});
  SUMI_CHECK_KIND(kUsage, json.is_object() && json.size() == json.count("before"),
                  "the body must be {{\"before\": ID}}, or null for the end of the queue");
  const auto before = json.value("before", nlohmann::json());
  SUMI_CHECK_KIND(kUsage, before.is_null() || before.is_string(), "`before` must be a job's id or null");
  return before.is_null() ? std::string() : before.get<std::string>();
}

void add_job_routes(Router& router, Jobs& jobs, Background& submitting, const After& after) {
  router.add("POST", "/v1/jobs", [&jobs, &submitting](const auto& exchange, const Captures&) {
    if (!is_json(exchange->request()))
      return exchange->reply(refusal(415, "the body must be JSON, with Content-Type: application/json"));
    answer_later(submitting, exchange, [&jobs, exchange = exchange.get()] {
      Submission submission = parse_submission(exchange->request().body);
      submission.client = exchange->request().peer;
      return submit(jobs, std::move(submission));
    });
  });
  router.add("GET", "/v1/jobs", [&jobs](const auto& exchange, const Captures&) {
    Json list = Json::array();
    for (const JobView& view : jobs.list()) list.push_back(json_of(view));
    exchange->reply(json_reply({{"jobs", std::move(list)}}));
  });
  router.add("GET", "/v1/jobs/{}", [&jobs](const auto& exchange, const Captures& parts) {
    const auto view = jobs.view(parts[0]);
    exchange->reply(view ? json_reply(json_of(*view)) : no_such_job());
  });
  router.add("GET", "/v1/jobs/{}/events", [&jobs, after](const auto& exchange, const Captures& parts) {
    const auto stream = std::make_shared<EventStream>(exchange, after);
    if (!stream->begin(jobs, parts[0])) exchange->reply(no_such_job());
  });
  router.add("POST", "/v1/jobs/{}/cancel", [&jobs](const auto& exchange, const Captures& parts) {
    const Jobs::Cancelled cancelled = jobs.cancel(parts[0]);
    if (cancelled == Jobs::Cancelled::kUnknown) return exchange->reply(no_such_job());
    if (cancelled == Jobs::Cancelled::kOver) return exchange->reply(refusal(409, "the job is over"));
    exchange->reply(json_reply({{"id", parts[0]}, {"cancelled", true}}));
  });
  router.add("POST", "/v1/jobs/{}/move", [&jobs](const auto& exchange, const Captures& parts) {
    const std::string before = before_in(exchange->request());
    if (jobs.move(parts[0], before)) return exchange->reply(json_reply({{"id", parts[0]}, {"moved", true}}));
    if (!jobs.state(parts[0])) return exchange->reply(no_such_job());
    exchange->reply(refusal(409, "only jobs that wait can be moved, before another that waits of the same client"));
  });
  router.add("DELETE", "/v1/jobs/{}/pictures/{}", [&jobs](const auto& exchange, const Captures& parts) {
    const auto number = number_in<int64_t>(parts[1]);
    if (number && jobs.forget_picture(parts[0], *number)) return exchange->reply({.status = 204, .body = ""});
    exchange->reply(refusal(404, "there is no such picture of a job that is over"));
  });
  router.add("DELETE", "/v1/jobs/{}", [&jobs](const auto& exchange, const Captures& parts) {
    if (jobs.forget(parts[0])) return exchange->reply({.status = 204, .body = ""});
    exchange->reply(jobs.state(parts[0]) ? refusal(409, "the job is not over; cancel it first") : no_such_job());
  });
  router.add("GET", "/v1/jobs/{}/pictures/{}", [&jobs](const auto& exchange, const Captures& parts) {
    const auto number = number_in<int64_t>(parts[1]);
    const auto png = number ? jobs.picture(parts[0], *number) : nullptr;
    if (!png) return exchange->reply(refusal(404, "there is no such picture"));
    exchange->reply({.type = "image/png", .headers = picture_headers(), .body = *png});
  });
}

// Prometheus' text.
class MetricsText {
 public:
  void add(std::string_view name, std::string_view kind, std::string_view help, double value) {
    head(name, kind, help);
    text_ += fmt::format("sumi_{} {}\n", name, value);
  }
  void head(std::string_view name, std::string_view kind, std::string_view help) {
    text_ += fmt::format("# HELP sumi_{0} {2}\n# TYPE sumi_{0} {1}\n", name, kind, help);
  }
  void with_label(std::string_view name, std::string_view label, std::string_view of, double value) {
    text_ += fmt::format("sumi_{}{{{}=\"{}\"}} {}\n", name, label, of, value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string metrics_of(const JobCounts& c, const Shelf& shelf) {
  MetricsText text;
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  text.add("jobs_submitted_total", "counter", "Jobs that were taken.", count(c.submitted));
  text.add("jobs_done_total", "counter", "Jobs that ended well.", count(c.done));
  text.add("jobs_failed_total", "counter", "Jobs that failed.", count(c.failed));
  text.add("jobs_cancelled_total", "counter", "Jobs that were cancelled.", count(c.cancelled));
  text.add("jobs_refused_total", "counter", "Jobs that found the queue full or the server closing.", count(c.refused));
  text.add("jobs_queued", "gauge", "Jobs that wait.", count(c.queued));
  text.add("jobs_running", "gauge", "Jobs that are drawn.", count(c.running));
  text.add("batches_total", "counter", "Times that several jobs were drawn together.", count(c.batches));
  text.add("pictures_total", "counter", "Pictures drawn.", count(c.pictures));
  text.add("steps_total", "counter", "Sampling steps, each job's by itself.", count(c.steps));
  text.add("drawing_seconds_total", "counter", "Time spent on jobs.", c.seconds_drawing);
  text.head("stage_seconds_total", "counter", "Time spent on jobs, by stage.");
  for (const auto& [stage, seconds] : c.stage_seconds) text.with_label("stage_seconds_total", "stage", stage, seconds);
  text.add("resident_memory_bytes", "gauge", "Memory that the server has.",
           static_cast<double>(engine::resident_bytes()));
  int64_t loaded = 0;
  for (const ShelfEntry& entry : shelf.list()) loaded += entry.loaded ? entry.bytes : 0;
  text.add("models_loaded_bytes", "gauge", "Bytes of the files of models that are loaded.", count(loaded));
  return text.text();
}

}  // namespace

void add_native_routes(Router& router, Jobs& jobs, Shelf& shelf, Background& submitting, After after) {
  add_job_routes(router, jobs, submitting, after);
  router.add("GET", "/v1/models", [&shelf](const auto& exchange, const Captures&) {
    Json list = Json::array(), data = Json::array();
    for (const ShelfEntry& entry : shelf.list()) {
      list.push_back({{"name", entry.name}, {"bytes", entry.bytes}, {"loaded", entry.loaded}});
      data.push_back({{"id", entry.name}, {"object", "model"}, {"created", entry.created}, {"owned_by", "sumi"}});
    }
    exchange->reply(json_reply({{"object", "list"}, {"data", std::move(data)}, {"models", std::move(list)}}));
  });
  router.add("GET", "/health", [&jobs](const auto& exchange, const Captures&) {
    const JobCounts counts = jobs.counts();
    exchange->reply(json_reply(
        {{"status", "ok"}, {"version", Engine::version()}, {"queued", counts.queued}, {"running", counts.running}}));
  });
  router.add("GET", "/metrics", [&jobs, &shelf](const auto& exchange, const Captures&) {
    exchange->reply({.type = "text/plain; version=0.0.4", .body = metrics_of(jobs.counts(), shelf)});
  });
}

}  // namespace sumi::app
