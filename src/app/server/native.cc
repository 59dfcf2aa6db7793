#include "app/server/native.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/json.h"
#include "app/server/http_text.h"
#include "app/server/remote.h"
#include "base/check.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr milliseconds kHeartbeat{15'000};
constexpr size_t kMostWaiting = 4 << 20;       // bytes that a watcher has not taken: it is let go
constexpr int kRetryAfter = 30;                // seconds
constexpr size_t kMostForPreview = 256 << 10;  // beyond, previews are left out

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

HttpReply json_reply(const Json& json, int status = 200) { return {.status = status, .body = text_of(json)}; }

Json json_of(const KeptPicture& picture, const std::string& job) {
  return {{"number", picture.number},   {"seed", picture.seed},
          {"width", picture.width},     {"height", picture.height},
          {"prompt", picture.prompt},   {"parameters", picture.parameters},
          {"flagged", picture.flagged}, {"url", fmt::format("/v1/jobs/{}/pictures/{}", job, picture.number)}};
}

Json json_of(const JobView& view) {
  Json json{{"id", view.id},
            {"state", name_of(view.state)},
            {"model", view.model},
            {"priority", view.priority},
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

bool is_json(const HttpRequest& request) {
  const std::string* type = request.header("content-type");
  return type != nullptr && type->starts_with("application/json");
}

// The object's field, taken out; null where there is none.
nlohmann::json take(nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return nullptr;
  nlohmann::json value = std::move(*found);
  object.erase(found);
  return value;
}

Submission submission_of(const HttpRequest& request) {
  nlohmann::json json = io::parse_json(
      request.body, {.subject = "the body", .max_bytes = api::kMaxJsonBytes, .max_values = api::kMaxJsonValues});
  SUMI_CHECK_KIND(kUsage, json.is_object(), "the body must be an object with `request`");
  Submission submission{.client = request.peer};
  const auto inner = take(json, "request"), model = take(json, "model"), priority = take(json, "priority"),
             previews = take(json, "previews");
  SUMI_CHECK_KIND(kUsage, inner.is_object(), "`request` must be given, an object with `prompts`");
  SUMI_CHECK_KIND(kUsage, model.is_null() || model.is_string(), "`model` must be a name");
  SUMI_CHECK_KIND(kUsage, priority.is_null() || priority.is_number_integer(), "`priority` must be a whole number");
  SUMI_CHECK_KIND(kUsage, previews.is_null() || previews.is_boolean(), "`previews` must be true or false");
  SUMI_CHECK_KIND(kUsage, json.empty(), "there is no field `{}`; a job has `request`, `model`, `priority`, `previews`",
                  json.begin().key());
  submission.request = api::parse_request(inner.dump());
  check_remote(submission.request);
  if (model.is_string()) submission.model = model.get<std::string>();
  if (priority.is_number_integer()) {
    const auto value = priority.get<int64_t>();
    submission.priority = static_cast<int>(std::clamp<int64_t>(value, -100, 100));  // submit() checks it
  }
  if (previews.is_boolean()) submission.previews = previews.get<bool>();
  return submission;
}

template <class T> std::optional<T> number_in(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
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
    HttpReply reply = json_reply(json_of(jobs.view(id).value()), 201);
    reply.headers.emplace_back("Location", "/v1/jobs/" + id);
    return reply;
  } catch (const QueueIsFull& full) {
    HttpReply reply = refusal(429, full.what());
    reply.headers.emplace_back("Retry-After", std::to_string(kRetryAfter));
    return reply;
  }
}

void add_job_routes(Router& router, Jobs& jobs, const After& after) {
  router.add("POST", "/v1/jobs", [&jobs](const auto& exchange, const Captures&) {
    if (!is_json(exchange->request()))
      return exchange->reply(refusal(415, "the body must be JSON, with Content-Type: application/json"));
    exchange->reply(submit(jobs, submission_of(exchange->request())));
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
  router.add("DELETE", "/v1/jobs/{}", [&jobs](const auto& exchange, const Captures& parts) {
    if (jobs.forget(parts[0])) return exchange->reply({.status = 204, .body = ""});
    exchange->reply(jobs.state(parts[0]) ? refusal(409, "the job is not over; cancel it first") : no_such_job());
  });
  router.add("GET", "/v1/jobs/{}/pictures/{}", [&jobs](const auto& exchange, const Captures& parts) {
    const auto number = number_in<int64_t>(parts[1]);
    const auto png = number ? jobs.picture(parts[0], *number) : nullptr;
    if (!png) return exchange->reply(refusal(404, "there is no such picture"));
    exchange->reply({.type = "image/png", .headers = {{"Cache-Control", "private, immutable"}}, .body = *png});
  });
}

std::string metrics_of(const JobCounts& c) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view kind, std::string_view help, double value) {
    text += fmt::format("# HELP sumi_{0} {2}\n# TYPE sumi_{0} {1}\nsumi_{0} {3}\n", name, kind, help, value);
  };
  add("jobs_submitted_total", "counter", "Jobs that were taken.", static_cast<double>(c.submitted));
  add("jobs_done_total", "counter", "Jobs that ended well.", static_cast<double>(c.done));
  add("jobs_failed_total", "counter", "Jobs that failed.", static_cast<double>(c.failed));
  add("jobs_cancelled_total", "counter", "Jobs that were cancelled.", static_cast<double>(c.cancelled));
  add("jobs_refused_total", "counter", "Jobs that found the queue full or the server closing.",
      static_cast<double>(c.refused));
  add("jobs_queued", "gauge", "Jobs that wait.", static_cast<double>(c.queued));
  add("jobs_running", "gauge", "Jobs that are drawn.", static_cast<double>(c.running));
  add("pictures_total", "counter", "Pictures drawn.", static_cast<double>(c.pictures));
  add("steps_total", "counter", "Sampling steps.", static_cast<double>(c.steps));
  add("drawing_seconds_total", "counter", "Time spent on jobs.", c.seconds_drawing);
  return text;
}

}  // namespace

void add_native_routes(Router& router, Jobs& jobs, Shelf& shelf, After after) {
  add_job_routes(router, jobs, after);
  router.add("GET", "/v1/models", [&shelf](const auto& exchange, const Captures&) {
    Json list = Json::array();
    for (const ShelfEntry& entry : shelf.list())
      list.push_back({{"name", entry.name}, {"bytes", entry.bytes}, {"loaded", entry.loaded}});
    exchange->reply(json_reply({{"models", std::move(list)}}));
  });
  router.add("GET", "/health", [&jobs](const auto& exchange, const Captures&) {
    const JobCounts counts = jobs.counts();
    exchange->reply(json_reply(
        {{"status", "ok"}, {"version", Engine::version()}, {"queued", counts.queued}, {"running", counts.running}}));
  });
  router.add("GET", "/metrics", [&jobs](const auto& exchange, const Captures&) {
    exchange->reply({.type = "text/plain; version=0.0.4", .body = metrics_of(jobs.counts())});
  });
}

}  // namespace sumi::app
