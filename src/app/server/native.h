// The server's own face: /v1/jobs and what belongs to it, in the JSON of docs/api.md; /health and /metrics.
#pragma once

#include <chrono>
#include <functional>

#include "app/server/jobs.h"
#include "app/server/router.h"
#include "app/server/shelf.h"

namespace sumi::app {

// Runs a function on the server's thread after a time.
using After = std::function<void(std::chrono::milliseconds, std::function<void()>)>;

// POST   /v1/jobs                         {"request", "model", "priority", "previews"} → 201, the job
// GET    /v1/jobs                         {"jobs"}, the newest first
// GET    /v1/jobs/ID                      the job
// GET    /v1/jobs/ID/events               Server-Sent Events (jobs.h), after Last-Event-ID
// POST   /v1/jobs/ID/cancel               200; 409 where it is over
// DELETE /v1/jobs/ID                      204; 409 where it is not over
// GET    /v1/jobs/ID/pictures/N           PNG
// GET    /v1/models                       {"models"}
// GET    /health, /metrics                {"status", …}; Prometheus' text
// `jobs` and `shelf` must outlive the exchanges.
void add_native_routes(Router& router, Jobs& jobs, Shelf& shelf, After after);

}  // namespace sumi::app
