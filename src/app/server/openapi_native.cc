// The paths of the native API. Declared in openapi_parts.h.
#include "app/server/openapi_parts.h"

namespace sumi::app::openapi {
namespace {

void add_jobs(std::vector<Operation>& all) {
  all.push_back({.method = "POST",
                 .path = "/v1/jobs",
                 .summary = "Submit a job",
                 .body = json_content(schema_named("submission")),
                 .replies = {{"201", json_reply("the job; Location is its address", schema_named("job"))}},
                 .errors = {400, 415, 429, 503}});
  all.push_back({.method = "GET",
                 .path = "/v1/jobs",
                 .summary = "All jobs that are kept",
                 .replies = {{"200", json_reply("the jobs", schema_named("jobs"))}}});
  all.push_back({.method = "GET",
                 .path = "/v1/jobs/{id}",
                 .summary = "A job",
                 .replies = {{"200", json_reply("the job", schema_named("job"))}},
                 .errors = {404}});
  all.push_back({.method = "DELETE",
                 .path = "/v1/jobs/{id}",
                 .summary = "Forget a job that is over, with its pictures",
                 .replies = {{"204", reply("it is forgotten", nullptr)}},
                 .errors = {404, 409}});
  all.push_back(
      {.method = "GET",
       .path = "/v1/jobs/{id}/events",
       .summary = "Watch a job: Server-Sent Events queued, running, step, preview, warning, picture, then "
                  "done, failed or cancelled",
       .replies = {{"200", reply("the events, each with a number and JSON", content("text/event-stream", text()))}},
       .errors = {404},
       .parameters = Json::array({{{"name", "Last-Event-ID"},
                                   {"in", "header"},
                                   {"description", "the number of the last event that was seen"},
                                   {"schema", {{"type", "integer"}}}}})});
  all.push_back({.method = "POST",
                 .path = "/v1/jobs/{id}/cancel",
                 .summary = "End a job, within a step",
                 .replies = {{"200", json_reply("it ends", object({{"id", text()}, {"cancelled", flag()}}))}},
                 .errors = {404, 409}});
  all.push_back({.method = "POST",
                 .path = "/v1/jobs/{id}/move",
                 .summary = "Move a job that waits before another of the same client",
                 .body = json_content(input({{"before", or_null(text("a job's id; null: to the end"))}}, {}, false)),
                 .replies = {{"200", json_reply("it is moved", object({{"id", text()}, {"moved", flag()}}))}},
                 .errors = {400, 404, 409}});
}

void add_pictures(std::vector<Operation>& all) {
  all.push_back({.method = "GET",
                 .path = "/v1/jobs/{id}/pictures/{number}",
                 .summary = "A picture, with its settings in it",
                 .replies = {{"200", png_reply()}},
                 .errors = {404}});
  all.push_back({.method = "DELETE",
                 .path = "/v1/jobs/{id}/pictures/{number}",
                 .summary = "Forget a picture of a job that is over",
                 .replies = {{"204", reply("it is forgotten", nullptr)}},
                 .errors = {404}});
  all.push_back({.method = "POST",
                 .path = "/v1/settings",
                 .summary = "The settings that a picture file carries: PNG, JPEG or WebP, of sumi and other programs",
                 .body = content("application/octet-stream", text("the file")),
                 .replies = {{"200", json_reply("the settings", schema_named("picture_settings"))}},
                 .errors = {400, 503}});
}

void add_lists(std::vector<Operation>& all) {
  all.push_back({.method = "GET",
                 .path = "/v1/models",
                 .summary = "Models that can draw",
                 .replies = {{"200", json_reply("the models", schema_named("models"))}}});
  for (const char* path : {"/v1/models/{name}", "/v1/models/{folder}/{name}"})
    all.push_back({.method = "GET",
                   .path = path,
                   .summary = "What is known of a model without its weights",
                   .replies = {{"200", json_reply("the model", schema_named("model"))}},
                   .errors = {400, 404, 503}});
  all.push_back({.method = "GET",
                 .path = "/v1/options",
                 .summary = "What there is to choose from, and the limits",
                 .replies = {{"200", json_reply("the lists", schema_named("options"))}}});
  all.push_back({.method = "POST",
                 .path = "/v1/plan",
                 .summary = "What a job would be and the memory that it would take; draws nothing",
                 .body = json_content(schema_named("submission")),
                 .replies = {{"200", json_reply("the plan", schema_named("plan"))}},
                 .errors = {400, 404, 415, 503}});
}

void add_training(std::vector<Operation>& all) {
  all.push_back({.method = "GET",
                 .path = "/v1/training",
                 .summary = "Training runs",
                 .replies = {{"200", json_reply("the runs", schema_named("training_runs"))}},
                 .errors = {503}});
  all.push_back({.method = "GET",
                 .path = "/v1/training/{run}",
                 .summary = "A training run's log and samples",
                 .replies = {{"200", json_reply("the run", schema_named("training_run"))}},
                 .errors = {404, 503}});
  all.push_back({.method = "GET",
                 .path = "/v1/training/{run}/samples/{step}",
                 .summary = "A sheet of samples",
                 .replies = {{"200", png_reply()}},
                 .errors = {404, 503}});
}

void add_service(std::vector<Operation>& all) {
  all.push_back({.method = "GET",
                 .path = "/health",
                 .summary = "Whether the server works; needs no token",
                 .replies = {{"200", json_reply("it does", schema_named("health"))}}});
  all.push_back({.method = "GET",
                 .path = "/metrics",
                 .summary = "Counters, in Prometheus' text",
                 .replies = {{"200", reply("the counters", content("text/plain", text()))}}});
  all.push_back({.method = "GET",
                 .path = "/openapi.json",
                 .summary = "This document",
                 .replies = {{"200", json_reply("the document", typed("object", ""))}}});
}

}  // namespace

std::vector<Operation> native_operations() {
  std::vector<Operation> all;
  add_jobs(all);
  add_pictures(all);
  add_lists(all);
  add_training(all);
  add_service(all);
  return all;
}

}  // namespace sumi::app::openapi
